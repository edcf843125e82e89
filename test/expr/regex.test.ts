/** Regular expressions: the kernel against JavaScript's on random patterns, time that stays linear, and what is refused. */
import { expect, test } from 'vitest';
import { type Prng, prng } from '../../core/base/prng.ts';
import { regexProgram } from '../../core/compile/regex-program.ts';
import { javascriptRegex, parseRegex } from '../../core/expr/regex.ts';
import { encodeUtf8, readText, utf8Bytes, writeView } from '../../core/record/text.ts';
import { testSlot } from '../support/slot.ts';

const slot = testSlot({ bytes: 32 * 1024 * 1024 });
const place = slot.memory.arena.allocate(64, 'views');
const program = slot.memory.arena.allocate(65_536, 'a program');
const scratch = slot.memory.arena.allocate(65_536, 'scratch');
const texts = slot.memory.arena.allocate(1_000_000, 'a text');

function kernel(text: string, pattern: string, group: number): string | null {
  const { content, scratchBytes } = regexProgram(pattern, group);
  expect(scratchBytes).toBeLessThanOrEqual(65_536);
  slot.memory.u8.set(content, program);
  const bytes = utf8Bytes(text);
  encodeUtf8(text, slot.memory.u8, texts, bytes);
  writeView(slot.memory, place, texts, bytes);
  return slot.kernels.regexView(place, program, scratch, place + 16) ? readText(slot.memory, place + 16) : null;
}

const reference = (text: string, pattern: string, group: number): string | null =>
  javascriptRegex(parseRegex(pattern, group)).exec(text)?.[group] ?? null;

function randomPattern(random: Prng, depth: number): string {
  const of = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const parts = Array.from({ length: 1 + random.below(4) }, () => {
    if (depth > 0 && random.below(3) === 0) {
      const inside = [...Array(1 + random.below(3))].map(() => randomPattern(random, depth - 1)).join('|');
      return `${of(['(', '(?:'])}${inside})${of(['', '', '?', '??', '*', '+', '+?', '{2}'])}`;
    }
    const one = of(['a', 'b', 'c', 'ab', '.', '[ab]', '[^b]', '\\w', '\\d', 'é', '[é-🎉]', '^', '$', '[a\\-c]', ' ']);
    return `${one}${one === '^' || one === '$' ? '' : of(['', '', '', '*', '?', '+', '*?', '{1,2}'])}`;
  });
  return parts.join('');
}

const randomText = (random: Prng): string =>
  Array.from(
    { length: random.below(14) },
    () => ['a', 'b', 'c', 'd', 'é', '🎉', ' ', '1', '\n', '\r'][random.below(10)],
  ).join('');

test('random patterns over random texts', () => {
  const random = prng(11);
  let matches = 0;
  let refused = 0;
  for (let i = 0; i < 4000; i++) {
    const pattern = randomPattern(random, 2);
    const group = random.below(2);
    try {
      parseRegex(pattern, group);
    } catch {
      refused++;
      continue;
    }
    for (let k = 0; k < 5; k++) {
      const text = randomText(random);
      const expected = reference(text, pattern, group);
      if (expected !== null) matches++;
      const got = kernel(text, pattern, group);
      if (got !== expected) expect({ pattern, group, text, got }).toEqual({ pattern, group, text, got: expected });
    }
  }
  expect(matches).toBeGreaterThan(2000);
  expect(refused).toBeLessThan(3500);
});

test('patterns that others take for ever for end', () => {
  const text = 'a'.repeat(100_000);
  expect(kernel(text, '(?:a|a)*b', 0)).toBe(null);
  expect(kernel(text, 'a*a*a*a*a*c', 0)).toBe(null);
  expect(kernel(`${text}!`, '(?:a|aa)+!', 0)?.length).toBe(100_001);
  expect(kernel(text, 'a{1,200}b', 0)).toBe(null);
});

test('texts that every match has are looked for first, wherever they stand', () => {
  for (const text of [
    '',
    'channel_id=',
    'x&channel_id=7',
    'é&channel_id=7&z',
    'xchannel_id=7&channel_id=8',
    'channel_id',
  ]) {
    for (const pattern of [
      '(&|^)channel_id=([^&]*)',
      '.?channel_id=(.)',
      'é?(.)channel_id',
      '(x)channel_id=\\d',
      '.*(.)channel_id',
    ]) {
      for (const group of [0, 1])
        expect([text, pattern, kernel(text, pattern, group)]).toEqual([text, pattern, reference(text, pattern, group)]);
    }
  }
});

test.each([
  ['a\\1', /has \\1, which is not known/],
  ['(?=a)', /has a group of a kind that is not known/],
  ['(?<n>a)', /has a group of a kind that is not known/],
  ['(?i)a', /has a group of a kind that is not known/],
  ['a\\b', /has \\b, which is not known/],
  ['(a*)*', /repeats what may be nothing/],
  ['a++', /possessive/],
  ['a**', /repeats a repeat/],
  ['*a', /repeats nothing with \*/],
  ['^*', /repeats an anchor/],
  ['(a', /stays open/],
  ['a)', /a \) too many/],
  ['[a', /stays open/],
  ['[z-a]', /a range that is none/],
  ['[a[b]]', /has \[ in/],
  ['[a&&b]', /has & in/],
  ['a{2,1}', /at most less than at least/],
  ['a{1,999}', /more than 200 times/],
  ['a{', /begins no \{m\}/],
  ['a\\', /ends in a/],
])('%s is refused', (pattern, message) => {
  expect(() => parseRegex(pattern)).toThrow(message);
});

test('a group that is not there, or is repeated, cannot be asked for', () => {
  expect(() => parseRegex('(a)', 2)).toThrow(/has 1 groups, so there is no group 2/);
  expect(() => parseRegex('(?:(a)|b)*', 1)).toThrow(/has group 1 in a part that is repeated/);
  expect(() => regexProgram('(?:(?:(?:a{9}){9}){9})', 0)).toThrow(/more than 512 steps/);
});
