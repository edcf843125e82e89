/**
 * `a || b` and `a ?? b` on expressions. An expression is always true and never null, so `b` is not even made, and nothing
 * is left behind to notice (as `&&` and `?:` leave their other side, see notes.ts). Only the callback's own text shows
 * it: a `||` or `??` whose left operand is made of the callback's row. It finds an honest mistake; a text it cannot read
 * (bound or native functions) passes.
 */
import { MillraceError } from '../base/errors.ts';

/** Errors: `plan/unused-expression`, naming the left operand. */
export function refuseShortCircuits(callback: unknown, where: string): void {
  if (typeof callback !== 'function') return;
  const tokens = tokensOf(Function.prototype.toString.call(callback));
  const rows = parametersOf(tokens);
  if (rows.size === 0) return;
  for (const [i, operator] of tokens.entries()) {
    if (operator !== '||' && operator !== '??') continue;
    const from = operandFrom(tokens, i);
    const operand = tokens.slice(from, i);
    if (!operand.some((word, k) => rows.has(word) && !isMember(operand, k))) continue;
    const remedy = operator === '||' ? '.or(…)' : 'coalesce(…)';
    throw new MillraceError(
      'plan/unused-expression',
      `${where}: \`${operand.join('')} ${operator} …\`: an expression is always ${operator === '||' ? 'true' : 'there'}, so what follows ${operator} is never used; write ${remedy}`,
    );
  }
}

/** Comments; strings; templates; words and numbers; operators that matter; any other character for itself. */
const token =
  /(\/\/[^\n]*|\/\*[\s\S]*?\*\/|\s+)|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|`(?:\\[\s\S]|[^`\\])*`|[\p{ID_Continue}$]+|\|\|=?|\?\?=?|\?\.(?!\d)|=>|[\s\S]/gu;

function tokensOf(source: string): readonly string[] {
  return [...source.matchAll(token)].filter((match) => match[1] === undefined).map((match) => match[0]);
}

const word = /^[\p{ID_Start}$_]/u;

/** Names that the parameters bind. */
function parametersOf(tokens: readonly string[]): ReadonlySet<string> {
  const open = tokens.indexOf('(');
  const arrow = tokens.indexOf('=>');
  // `row => …`, without brackets.
  if (arrow >= 0 && (open < 0 || arrow < open)) return new Set(tokens.slice(Math.max(0, arrow - 1), arrow));
  const names = new Set<string>();
  let depth = 0;
  for (let i = Math.max(0, open); i < tokens.length; i++) {
    if ('([{'.includes(tokens[i]!)) depth++;
    else if (')]}'.includes(tokens[i]!) && --depth === 0) break;
    // `{ delay: d }` binds d.
    else if (word.test(tokens[i]!) && tokens[i + 1] !== ':') names.add(tokens[i]!);
  }
  return names;
}

/** Where the operand that ends before `end` begins: a name or bracket with the members, calls and indices behind it. */
function operandFrom(tokens: readonly string[], end: number): number {
  let at = end;
  while (at > 0) {
    const last = tokens[at - 1]!;
    if (last === ')' || last === ']') {
      at = openingOf(tokens, at - 1);
      const before = tokens[at - 1] ?? '';
      // A call or an index of what stands before; otherwise the operand is the bracket itself.
      if (!word.test(before) && before !== ')' && before !== ']') return at;
    } else if (word.test(last)) {
      at--;
      if (!isMember(tokens, at)) return at;
      at--;
    } else return at;
  }
  return at;
}

function openingOf(tokens: readonly string[], closing: number): number {
  let depth = 0;
  for (let i = closing; i >= 0; i--) {
    if (')]}'.includes(tokens[i]!)) depth++;
    else if ('([{'.includes(tokens[i]!) && --depth === 0) return i;
  }
  return 0;
}

const isMember = (tokens: readonly string[], at: number): boolean => tokens[at - 1] === '.' || tokens[at - 1] === '?.';
