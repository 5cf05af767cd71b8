import { splitMentions } from "../../plan/mentions"

interface Props {
  text: string
  /** Names of known people. */
  people: readonly string[]
  /** Name of the user; empty if unknown. */
  me: string
}

/** The text of a comment with marked mentions. */
export function CommentText({ text, people, me }: Props) {
  return (
    <p className="comment-text">
      {splitMentions(text, me === "" ? people : [...people, me]).map(({ text, mention }, at) =>
        mention === null ? (
          text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: the parts of a text have no state
          <span key={at} className={mention.toLowerCase() === me.toLowerCase() ? "mention of-me" : "mention"}>
            {text}
          </span>
        ),
      )}
    </p>
  )
}
