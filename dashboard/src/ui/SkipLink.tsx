import { focusList } from "./focus-list"

/** Link for the keyboard that moves the focus to the list. */
export function SkipLink() {
  return (
    // biome-ignore lint/a11y/useValidAnchor: the link moves the focus; the URL fragment names the plan
    <a
      className="skip"
      href="#list"
      onClick={(event) => {
        // The URL fragment contains the plan id.
        event.preventDefault()
        focusList({ scroll: true })
      }}
    >
      Skip to the list
    </a>
  )
}
