/** Guards against our own mistakes. What the world may do wrong is a MillraceError, never an assert. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Millrace is wrong, not you: ${message}. Please report it.`);
}

/** The end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Error(`Millrace is wrong, not you: unexpected ${JSON.stringify(value)}. Please report it.`);
}
