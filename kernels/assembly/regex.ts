// Regular expressions in time linear in the text: all threads of Thompson's automaton side by side, in order of preference
// (Pike 1987; Cox 2009), each with the place of one group. No backtracking, whatever the pattern.
//
// A program:   u32 steps | u32 place of the text that every match has, u32 its bytes (0: none), u32 bytes of a match before it
//              steps × { u32 op, u32 a, u32 b } | sets | that text
// op 0 match · 1 code point a · 2 set at a · 3 a or else b · 4 go to a · 5 place a (0 begin, 1 end) · 6 text begins · 7 text ends
// A set:       16 bytes, a bit for each ASCII character | u32 n | n × { u32 from, u32 to }
// Scratch:     u32 generation, 12 unused | marks, 4 a step | two lists of threads and a stack, 12 a step each
// A thread:    u32 step, u32 begin, u32 end of the group (addresses; 0: it was not in it)

import { writeView } from './string';

const MATCH: u32 = 0;
const CHAR: u32 = 1;
const SET: u32 = 2;
const SPLIT: u32 = 3;
const JUMP: u32 = 4;
const SAVE: u32 = 5;
const BEGIN: u32 = 6;

/** Writes the group's text to `out`: 1. No match, or the group was not in it: 0. */
export function regexView(view: u32, program: u32, scratch: u32, out: u32): i32 {
  const length = load<u32>(view);
  const text = length <= 12 ? view + 4 : load<u32>(view, 12);
  const end = text + length;
  const steps = load<u32>(program);
  let at = text;
  const needed = load<u32>(program, 8);
  if (needed > 0) {
    const first = find(text, end, program + load<u32>(program, 4), needed);
    if (first == 0) return 0;
    const before = load<u32>(program, 12);
    if (first - text > before) {
      at = first - before;
      // Not in the middle of a character.
      while (at > text && (load<u8>(at) & 0xc0) == 0x80) at--;
    }
  }
  const marks = scratch + 16;
  let current = marks + (steps << 2);
  let next = current + steps * 12;
  const stack = next + steps * 12;
  let generation = load<u32>(scratch) + 1;
  // Marks of 2^31 characters ago must not look like new ones.
  if (generation > 0x7fffffff) {
    memory.fill(marks, 0, steps << 2);
    generation = 1;
  }
  let threads: u32 = 0;
  let matched = false;
  let from: u32 = 0;
  let to: u32 = 0;
  for (;;) {
    if (!matched) threads = follow(program, marks, generation, current, threads, stack, 0, 0, 0, at, text, end);
    else if (threads == 0) break;
    let code: u32 = 0xffffffff;
    let width: u32 = 0;
    if (at < end) {
      code = load<u8>(at);
      width = 1;
      if (code >= 0x80) {
        width = code < 0xe0 ? 2 : code < 0xf0 ? 3 : 4;
        if (at + width > end) width = end - at;
        code &= width == 2 ? 0x1f : width == 3 ? 0x0f : 0x07;
        for (let i: u32 = 1; i < width; i++) code = (code << 6) | (load<u8>(at + i) & 0x3f);
      }
    }
    let kept: u32 = 0;
    for (let t: u32 = 0; t < threads; t++) {
      const thread = current + t * 12;
      const pc = load<u32>(thread);
      const step = program + 16 + pc * 12;
      const op = load<u32>(step);
      if (op == MATCH) {
        matched = true;
        from = load<u32>(thread, 4);
        to = load<u32>(thread, 8);
        // Those behind it are less preferred.
        break;
      }
      if (width == 0) continue;
      if (op == CHAR ? code == load<u32>(step, 4) : inSet(program + load<u32>(step, 4), code)) {
        kept = follow(
          program, marks, generation + 1, next, kept, stack, pc + 1, load<u32>(thread, 4), load<u32>(thread, 8), at + width, text, end,
        );
      }
    }
    generation++;
    if (width == 0) break;
    at += width;
    threads = kept;
    const swapped = current;
    current = next;
    next = swapped;
  }
  store<u32>(scratch, generation);
  if (!matched || from == 0 || to == 0) return 0;
  writeView(from, to - from, out);
  return 1;
}

/** Adds to `list`, which has `count`, the threads that step `pc` leads to without a character; answers how many there are. */
function follow(
  program: u32, marks: u32, generation: u32, list: u32, count: u32, stack: u32,
  pc: u32, from: u32, to: u32, at: u32, text: u32, end: u32,
): u32 {
  let waiting: u32 = 0;
  for (;;) {
    const mark = marks + (pc << 2);
    if (load<u32>(mark) != generation) {
      store<u32>(mark, generation);
      const step = program + 16 + pc * 12;
      const op = load<u32>(step);
      if (op <= SET) {
        const thread = list + count * 12;
        store<u32>(thread, pc);
        store<u32>(thread, from, 4);
        store<u32>(thread, to, 8);
        count++;
      } else if (op == SPLIT) {
        const later = stack + waiting * 12;
        store<u32>(later, load<u32>(step, 8));
        store<u32>(later, from, 4);
        store<u32>(later, to, 8);
        waiting++;
        pc = load<u32>(step, 4);
        continue;
      } else if (op == JUMP) {
        pc = load<u32>(step, 4);
        continue;
      } else if (op == SAVE) {
        if (load<u32>(step, 4) == 0) from = at;
        else to = at;
        pc++;
        continue;
      } else if (op == BEGIN ? at == text : atEnd(at, text, end)) {
        pc++;
        continue;
      }
    }
    if (waiting == 0) break;
    waiting--;
    const later = stack + waiting * 12;
    pc = load<u32>(later);
    from = load<u32>(later, 4);
    to = load<u32>(later, 8);
  }
  return count;
}

function inSet(set: u32, code: u32): bool {
  if (code < 128) return ((load<u8>(set + (code >> 3)) >> (code & 7)) & 1) != 0;
  const n = load<u32>(set, 16);
  for (let i: u32 = 0; i < n; i++) {
    const range = set + 20 + (i << 3);
    if (code >= load<u32>(range) && code <= load<u32>(range, 4)) return true;
  }
  return false;
}

/** The end, or before a line end that is the last: \n, \r, \r\n, U+0085, U+2028, U+2029. */
function atEnd(at: u32, text: u32, end: u32): bool {
  const left = end - at;
  if (left == 0) return true;
  const first = load<u8>(at);
  if (left == 1) {
    if (first == 0x0d) return true;
    return first == 0x0a && !(at > text && load<u8>(at - 1) == 0x0d);
  }
  if (left == 2) return (first == 0x0d && load<u8>(at + 1) == 0x0a) || (first == 0xc2 && load<u8>(at + 1) == 0x85);
  return left == 3 && first == 0xe2 && load<u8>(at + 1) == 0x80 && (load<u8>(at + 2) & 0xfe) == 0xa8;
}

/** Where `bytes` of `what` first stand in a text, or 0. Sixteen places at a time, by its first and its last byte. */
function find(text: u32, end: u32, what: u32, bytes: u32): u32 {
  if (end - text < bytes) return 0;
  const first = load<u8>(what);
  const final = load<u8>(what + bytes - 1);
  const last = end - bytes;
  let at = text;
  const firsts = i8x16.splat(first);
  const finals = i8x16.splat(final);
  for (; at + 15 <= last; at += 16) {
    const both = v128.and(i8x16.eq(v128.load(at), firsts), i8x16.eq(v128.load(at + bytes - 1), finals));
    for (let mask = i8x16.bitmask(both); mask != 0; mask &= mask - 1) {
      const place = at + ctz(mask);
      if (isAt(place, what, bytes)) return place;
    }
  }
  for (; at <= last; at++) if (load<u8>(at) == first && isAt(at, what, bytes)) return at;
  return 0;
}

function isAt(at: u32, what: u32, bytes: u32): bool {
  for (let i: u32 = 1; i < bytes; i++) if (load<u8>(at + i) != load<u8>(what + i)) return false;
  return true;
}

/** Part `index` of a text between separators (a view that is not empty): 1, or 0 where there is none. An empty text has none. */
export function splitView(view: u32, separator: u32, index: i32, out: u32): i32 {
  const length = load<u32>(view);
  if (index < 0 || length == 0) return 0;
  const text = length <= 12 ? view + 4 : load<u32>(view, 12);
  const end = text + length;
  const bytes = load<u32>(separator);
  const what = bytes <= 12 ? separator + 4 : load<u32>(separator, 12);
  let from = text;
  for (; index > 0; index--) {
    const at = find(from, end, what, bytes);
    if (at == 0) return 0;
    from = at + bytes;
  }
  const to = find(from, end, what, bytes);
  writeView(from, (to == 0 ? end : to) - from, out);
  return 1;
}
