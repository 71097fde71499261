/** Something that a person can be told: the message is a sentence that says what is wrong and what to do. */
export class StawmError extends Error {
  override name = "StawmError";
}
