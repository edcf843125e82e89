/**
 * Regular expressions as the bytes that the `regexView` kernel reads; the layout stands above it (kernels/assembly/regex.ts).
 * A program of Thompson's automaton (Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009) with one pair of
 * places: that of the group asked for. Errors: `plan/type` where it becomes too long.
 */
import { MillraceError } from '../base/errors.ts';
import { parseRegex, type Ranges, type RegexNode } from '../expr/regex.ts';

export const RegexOp = { match: 0, char: 1, set: 2, split: 3, jump: 4, save: 5, begin: 6, end: 7 } as const;

/** Instructions of a program at most: the time per character of text is at most in proportion to them. */
export const regexStepsMax = 512;

interface Step {
  readonly op: number;
  a: number;
  b: number;
  readonly ranges?: Ranges;
}

export interface RegexProgram {
  readonly content: Uint8Array;
  /** Bytes that a match works in. */
  readonly scratchBytes: number;
}

export function regexProgram(pattern: string, group: number): RegexProgram {
  const { root } = parseRegex(pattern, group);
  const steps: Step[] = [];
  const add = (op: number, a = 0, b = 0, ranges?: Ranges): Step => {
    const step = ranges ? { op, a, b, ranges } : { op, a, b };
    if (steps.push(step) >= regexStepsMax) {
      throw new MillraceError(
        'plan/type',
        `the pattern ${JSON.stringify(pattern)} is too long: written out, it has more than ${regexStepsMax} steps`,
      );
    }
    return step;
  };
  const here = (): number => steps.length;
  /** `a` is preferred. */
  const branch = (lazy: boolean): { into(at: number): void; past(at: number): void } => {
    const step = add(RegexOp.split);
    const set = (first: boolean, at: number): void => {
      if (first) step.a = at;
      else step.b = at;
    };
    return { into: (at) => set(!lazy, at), past: (at) => set(lazy, at) };
  };
  const emit = (node: RegexNode): void => {
    switch (node.kind) {
      case 'set': {
        const [only] = node.ranges;
        if (node.ranges.length === 1 && only![0] === only![1]) add(RegexOp.char, only![0]);
        else add(RegexOp.set, 0, 0, node.ranges);
        return;
      }
      case 'begin':
        add(RegexOp.begin);
        return;
      case 'end':
        add(RegexOp.end);
        return;
      case 'sequence':
        node.parts.forEach(emit);
        return;
      case 'either': {
        const ends: Step[] = [];
        node.options.forEach((option, i) => {
          if (i + 1 === node.options.length) {
            emit(option);
            return;
          }
          const fork = branch(false);
          fork.into(here());
          emit(option);
          ends.push(add(RegexOp.jump));
          fork.past(here());
        });
        for (const end of ends) end.a = here();
        return;
      }
      case 'group':
        if (node.index === group) add(RegexOp.save, 0);
        emit(node.of);
        if (node.index === group) add(RegexOp.save, 1);
        return;
      case 'repeat': {
        const { of, least, most, lazy } = node;
        for (let i = 0; i < least; i++) emit(of);
        if (most === null) {
          const again = here();
          const fork = branch(lazy);
          fork.into(here());
          emit(of);
          add(RegexOp.jump, again);
          fork.past(here());
          return;
        }
        const forks = [];
        for (let i = least; i < most; i++) {
          const fork = branch(lazy);
          fork.into(here());
          emit(of);
          forks.push(fork);
        }
        for (const fork of forks) fork.past(here());
      }
    }
  };
  if (group === 0) add(RegexOp.save, 0);
  emit(root);
  if (group === 0) add(RegexOp.save, 1);
  add(RegexOp.match);
  return { content: encode(steps, requiredText(root)), scratchBytes: 16 + steps.length * 40 + 16 };
}

/** A text that every match has, and how many bytes of a match may lie before it. */
interface Required {
  readonly text: Uint8Array;
  readonly before: number;
}

/** The longest run of plain ASCII characters in the outermost sequence, with a bound on what stands before it. */
function requiredText(root: RegexNode): Required {
  const parts = root.kind === 'sequence' ? root.parts : [root];
  let best: Required = { text: new Uint8Array(0), before: 0 };
  let before = 0;
  let run: number[] = [];
  let runBefore = 0;
  const close = (): void => {
    if (run.length > best.text.length) best = { text: Uint8Array.from(run), before: runBefore };
    before += run.length;
    run = [];
  };
  for (const part of parts) {
    const code = part.kind === 'set' && part.ranges.length === 1 ? part.ranges[0]! : null;
    if (code && code[0] === code[1] && code[0] < 0x80) {
      if (run.length === 0) runBefore = before;
      run.push(code[0]);
      continue;
    }
    close();
    before += bytesMax(part);
    if (!Number.isFinite(before)) break;
  }
  close();
  return best;
}

/** UTF-8 bytes that a match of it has at most. */
function bytesMax(node: RegexNode): number {
  switch (node.kind) {
    case 'set': {
      const last = node.ranges.at(-1)?.[1] ?? 0;
      return last < 0x80 ? 1 : last < 0x800 ? 2 : last < 0x10000 ? 3 : 4;
    }
    case 'begin':
    case 'end':
      return 0;
    case 'sequence':
      return node.parts.reduce((sum, part) => sum + bytesMax(part), 0);
    case 'either':
      return Math.max(...node.options.map(bytesMax));
    case 'group':
      return bytesMax(node.of);
    case 'repeat':
      return node.most === null ? Number.POSITIVE_INFINITY : node.most * bytesMax(node.of);
  }
}

function encode(steps: readonly Step[], required: Required): Uint8Array {
  const setsFrom = 16 + steps.length * 12;
  const setBytes = steps.reduce((sum, { ranges }) => sum + (ranges ? 20 + ranges.length * 8 : 0), 0);
  const content = new Uint8Array(setsFrom + setBytes + Math.ceil(required.text.length / 4) * 4);
  const view = new DataView(content.buffer);
  let next = setsFrom;
  steps.forEach(({ op, a, b, ranges }, i) => {
    const at = 16 + i * 12;
    view.setUint32(at, op, true);
    view.setUint32(at + 4, ranges ? next : a, true);
    view.setUint32(at + 8, b, true);
    if (!ranges) return;
    for (let code = 0; code < 128; code++) {
      if (!ranges.some(([from, to]) => code >= from && code <= to)) continue;
      content[next + (code >> 3)]! |= 1 << (code & 7);
    }
    view.setUint32(next + 16, ranges.length, true);
    ranges.forEach(([from, to], k) => {
      view.setUint32(next + 20 + k * 8, from, true);
      view.setUint32(next + 24 + k * 8, to, true);
    });
    next += 20 + ranges.length * 8;
  });
  content.set(required.text, next);
  view.setUint32(0, steps.length, true);
  view.setUint32(4, next, true);
  view.setUint32(8, required.text.length, true);
  view.setUint32(12, required.before, true);
  return content;
}
