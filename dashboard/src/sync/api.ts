/** Requests to the JSON API of the server. */

const TIMEOUT_MS = 15_000

/** A request that failed, with a message for the user. */
export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 if the server did not answer. */
    readonly status: number,
    message: string,
  ) {
    super(message)
  }
}

/** Sends a request. Throws an {@link ApiError} unless the server accepts it. */
export async function callApi(
  path: string,
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE" = "GET",
  body?: unknown,
): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, {
      method,
      // User names must not stay in the HTTP cache after a logout.
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    })
  } catch {
    throw new ApiError(0, "The server cannot be reached. Check your connection and try again.")
  }
  if (response.ok) return response
  throw new ApiError(response.status, await readProblem(response))
}

/** The reason that the server gives, as a sentence. */
async function readProblem(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => null)) as { detail?: unknown } | null
  const detail = typeof problem?.detail === "string" ? problem.detail.trim() : ""
  if (detail === "") return `The server answered ${response.status}.`
  return `${detail.charAt(0).toUpperCase()}${detail.slice(1)}${/[.!?]$/.test(detail) ? "" : "."}`
}
