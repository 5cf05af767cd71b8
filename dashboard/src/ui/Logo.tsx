/** The logo: two bars that merge into one. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="logo-ground" />
      <path d="M9 8v7c0 4 3 6 7 6s7-2 7-6V8M16 21v4" className="logo-line" />
    </svg>
  )
}
