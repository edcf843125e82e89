/**
 * Where in the user's code a method was called, from the engine's stack trace (V8's; elsewhere nothing is known). Costs
 * some microseconds a call, while a plan is built only.
 */

/** A place in a file: `file` as the stack has it (a URL or a path). */
export interface CallSite {
  readonly file: string;
  readonly line: number;
}

/** The caller of `callee`, which must be on the stack; null where it cannot be told. */
export function callerOf(callee: (...args: never[]) => unknown): CallSite | null {
  const limit = Error.stackTraceLimit;
  const holder: { stack?: unknown } = {};
  try {
    Error.stackTraceLimit = 1;
    Error.captureStackTrace?.(holder, callee);
  } finally {
    Error.stackTraceLimit = limit;
  }
  return typeof holder.stack === 'string' ? parseFrame(holder.stack) : null;
}

/** The first place in a stack trace: `at name (file:line:column)` or `at file:line:column`. */
export function parseFrame(stack: string): CallSite | null {
  const frame = /\n\s+at (?:async )?(.*)/.exec(stack)?.[1] ?? '';
  const place = frame.endsWith(')') ? frame.slice(frame.indexOf(' (') + 2, -1) : frame;
  const match = /^(.+):(\d+):\d+$/.exec(place);
  return match ? { file: (match[1] as string).replace(/\?.*$/, ''), line: Number(match[2]) } : null;
}

/** `delays.ts:10`. */
export function callSiteText(site: CallSite | null): string | null {
  return (
    site &&
    `${decodeURI(site.file.slice(Math.max(site.file.lastIndexOf('/'), site.file.lastIndexOf('\\')) + 1))}:${site.line}`
  );
}
