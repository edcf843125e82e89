/**
 * Regular expressions as REGEXP_EXTRACT takes them: the part of Java's syntax whose matching takes time linear in the text.
 * Parsed here into a tree that the compiler makes a program of (core/compile/regex-program.ts); the reference writes it as a
 * JavaScript pattern instead. What is not in that part is refused by name; nothing is taken for something else.
 */
import { MillraceError } from '../base/errors.ts';

/** Code points, both ends included, ascending and apart. */
export type Ranges = readonly (readonly [number, number])[];

export type RegexNode =
  | { readonly kind: 'set'; readonly ranges: Ranges }
  | { readonly kind: 'begin' | 'end' }
  | { readonly kind: 'sequence'; readonly parts: readonly RegexNode[] }
  | { readonly kind: 'either'; readonly options: readonly RegexNode[] }
  /** `index` null: it does not count. */
  | { readonly kind: 'group'; readonly index: number | null; readonly of: RegexNode }
  /** `most` null: any number. */
  | {
      readonly kind: 'repeat';
      readonly of: RegexNode;
      readonly least: number;
      readonly most: number | null;
      readonly lazy: boolean;
    };

export interface Regex {
  readonly root: RegexNode;
  readonly groups: number;
}

const lastCodePoint = 0x10ffff;
const countMax = 200;
const depthMax = 50;

const digit: Ranges = [[0x30, 0x39]];
const wordChar: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
/** Java's `\s`. */
const blank: Ranges = [
  [0x09, 0x0d],
  [0x20, 0x20],
];
const lineEnds: Ranges = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x85, 0x85],
  [0x2028, 0x2029],
];

/**
 * Reads a pattern; `group` is the one that will be asked for. Errors: `plan/type` for what is no pattern, or is beyond what can
 * be matched in linear time.
 */
export function parseRegex(pattern: string, group = 0): Regex {
  const chars = [...pattern];
  let at = 0;
  let groups = 0;
  const fail = (what: string): never => {
    throw new MillraceError(
      'plan/type',
      `the pattern ${JSON.stringify(pattern)} ${what}, at character ${at + 1}; REGEXP_EXTRACT knows characters, ., [...], \\d \\w \\s, (...), (?:...), |, * + ? {m,n} and their lazy forms, ^ and $`,
    );
  };

  function either(depth: number): RegexNode {
    if (depth > depthMax) fail('is nested too deep');
    const options = [sequence(depth)];
    while (chars[at] === '|') {
      at++;
      options.push(sequence(depth));
    }
    return options.length === 1 ? options[0]! : { kind: 'either', options };
  }

  function sequence(depth: number): RegexNode {
    const parts: RegexNode[] = [];
    while (at < chars.length && chars[at] !== '|' && chars[at] !== ')') parts.push(repeated(atom(depth)));
    return parts.length === 1 ? parts[0]! : { kind: 'sequence', parts };
  }

  function repeated(of: RegexNode): RegexNode {
    const bounds = quantifier();
    if (bounds === null) return of;
    const [least, most] = bounds;
    if (of.kind === 'begin' || of.kind === 'end') fail('repeats an anchor');
    if ((most === null || most > 1) && canBeEmpty(of)) fail('repeats what may be nothing');
    if (most !== null && most < least) fail('repeats at most less than at least');
    if (Math.max(least, most ?? 0) > countMax) fail(`repeats more than ${countMax} times`);
    if ((most === null || most > 1) && holds(of, group)) fail(`has group ${group} in a part that is repeated`);
    let lazy = false;
    if (chars[at] === '?') {
      lazy = true;
      at++;
    }
    if (chars[at] === '+') fail('has a possessive repeat');
    if (chars[at] === '*' || chars[at] === '?' || chars[at] === '{') fail('repeats a repeat');
    return { kind: 'repeat', of, least, most, lazy };
  }

  function quantifier(): readonly [number, number | null] | null {
    switch (chars[at]) {
      case '*':
        at++;
        return [0, null];
      case '+':
        at++;
        return [1, null];
      case '?':
        at++;
        return [0, 1];
      case '{': {
        const match = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(chars.slice(at, at + 12).join(''));
        if (match === null) return fail('has a { that begins no {m}, {m,} or {m,n}');
        at += match[0].length;
        const least = Number(match[1]);
        return [least, match[2] === undefined ? least : match[3] === undefined ? null : Number(match[3])];
      }
      default:
        return null;
    }
  }

  function atom(depth: number): RegexNode {
    const char = chars[at++]!;
    switch (char) {
      case '.':
        return { kind: 'set', ranges: complement(lineEnds) };
      case '^':
        return { kind: 'begin' };
      case '$':
        return { kind: 'end' };
      case '[':
        return { kind: 'set', ranges: brackets() };
      case '(': {
        let index: number | null = null;
        if (chars[at] === '?') {
          if (chars[at + 1] !== ':') fail('has a group of a kind that is not known (a name, a flag, a look around)');
          at += 2;
        } else index = ++groups;
        const of = either(depth + 1);
        if (chars[at++] !== ')') fail('has a ( that stays open');
        return { kind: 'group', index, of };
      }
      case '\\':
        return { kind: 'set', ranges: escaped() };
      case '*':
      case '+':
      case '?':
      case '{':
        at--;
        return fail(`repeats nothing with ${char}`);
      default:
        return { kind: 'set', ranges: one(char.codePointAt(0)!) };
    }
  }

  function escaped(): Ranges {
    const char = chars[at++];
    if (char === undefined) return fail('ends in a \\');
    const known = { d: digit, w: wordChar, s: blank, t: one(9), n: one(10), f: one(12), r: one(13) }[char];
    if (known) return known;
    const outside = { D: digit, W: wordChar, S: blank }[char];
    if (outside) return complement(outside);
    if (/[A-Za-z0-9]/.test(char)) return fail(`has \\${char}, which is not known`);
    return one(char.codePointAt(0)!);
  }

  function brackets(): Ranges {
    const negated = chars[at] === '^';
    if (negated) at++;
    const ranges: (readonly [number, number])[] = [];
    for (let first = true; ; first = false) {
      const char = chars[at];
      if (char === undefined) return fail('has a [ that stays open');
      if (char === ']' && !first) break;
      if (char === '[' || (char === '&' && chars[at + 1] === '&')) fail(`has ${char} in [...]; write \\${char}`);
      at++;
      const from = char === '\\' ? escaped() : one(char.codePointAt(0)!);
      const single = from.length === 1 && from[0]![0] === from[0]![1];
      if (!single || chars[at] !== '-' || chars[at + 1] === ']' || chars[at + 1] === undefined) {
        ranges.push(...from);
        continue;
      }
      at++;
      const last = chars[at++]!;
      const to = last === '\\' ? escaped() : one(last.codePointAt(0)!);
      if (last === '[' || to.length !== 1 || to[0]![0] !== to[0]![1] || to[0]![0] < from[0]![0])
        fail('has a range that is none');
      ranges.push([from[0]![0], to[0]![0]]);
    }
    at++;
    const all = merged(ranges);
    return negated ? complement(all) : all;
  }

  const root = either(0);
  if (at < chars.length) fail('has a ) too many');
  if (group > groups) {
    throw new MillraceError(
      'plan/type',
      `the pattern ${JSON.stringify(pattern)} has ${groups} groups, so there is no group ${group}`,
    );
  }
  return { root, groups };
}

const one = (code: number): Ranges => [[code, code]];

function merged(ranges: Ranges): Ranges {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const all: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = all.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  return all;
}

function complement(ranges: Ranges): Ranges {
  const all: [number, number][] = [];
  let next = 0;
  for (const [from, to] of ranges) {
    if (from > next) all.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= lastCodePoint) all.push([next, lastCodePoint]);
  return all;
}

export function canBeEmpty(node: RegexNode): boolean {
  switch (node.kind) {
    case 'set':
      return false;
    case 'begin':
    case 'end':
      return true;
    case 'sequence':
      return node.parts.every(canBeEmpty);
    case 'either':
      return node.options.some(canBeEmpty);
    case 'group':
      return canBeEmpty(node.of);
    case 'repeat':
      return node.least === 0 || canBeEmpty(node.of);
  }
}

/** Whether group `index` stands in it. */
function holds(node: RegexNode, index: number): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.parts.some((part) => holds(part, index));
    case 'either':
      return node.options.some((option) => holds(option, index));
    case 'group':
      return node.index === index || holds(node.of, index);
    case 'repeat':
      return holds(node.of, index);
    default:
      return false;
  }
}

/** The same pattern for JavaScript, which backtracks: for the reference only. */
export function javascriptRegex({ root }: Regex): RegExp {
  const hex = (code: number): string => `\\u{${code.toString(16)}}`;
  const text = (node: RegexNode): string => {
    switch (node.kind) {
      case 'set':
        return `[${node.ranges.map(([from, to]) => (from === to ? hex(from) : `${hex(from)}-${hex(to)}`)).join('')}]`;
      case 'begin':
        return '^';
      // As Java: also before the last line end.
      case 'end':
        return '(?:(?=\\r\\n$)|(?<!\\r)(?=\\n$)|(?=[\\r\\u{85}\\u{2028}\\u{2029}]$)|$)';
      case 'sequence':
        return node.parts.map((part) => (part.kind === 'either' ? `(?:${text(part)})` : text(part))).join('');
      case 'either':
        return node.options.map(text).join('|');
      case 'group':
        return `(${node.index === null ? '?:' : ''}${text(node.of)})`;
      case 'repeat': {
        const { of, least, most, lazy } = node;
        // JavaScript's ? takes nothing that is empty; Java's does.
        if (least === 0 && most === 1) return lazy ? `(?:|${text(of)})` : `(?:${text(of)}|)`;
        return `(?:${text(of)}){${least},${most ?? ''}}${lazy ? '?' : ''}`;
      }
    }
  };
  return new RegExp(text(root), 'u');
}
