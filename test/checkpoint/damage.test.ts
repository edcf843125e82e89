/**
 * Damage: whatever byte of a checkpoint is flipped and wherever a file is cut, it is refused with the file's name, and the
 * checkpoint before it is taken. The reader is held to it as well, for what is damaged after the directory was opened.
 * Random damage of a large one: `npm run long -- damage`.
 */
import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { headerBytes } from '../../state/checkpoint/format.ts';
import { refusesDamage, twoCheckpoints } from './damage.ts';

describe.each(['part', 'manifest'] as const)('the %s of a small checkpoint', (which) => {
  test('every byte of it flipped', { timeout: 120_000 }, async () => {
    const place = await twoCheckpoints(20);
    const whole = place.bytesOf(which);
    const random = prng(7);
    for (let at = 0; at < whole.length; at++) {
      const bytes = whole.slice();
      bytes[at]! ^= 1 << random.below(8);
      const { id, reason } = place.openWith(which, bytes);
      expect(id, `byte ${at}`).toBe(1);
      expect(reason).toContain(place.pathOf[which]);
    }
    expect(whole.length).toBeGreaterThan(500);
    expect(place.loads()).toBe(true);
  });

  test('cut at every length, missing, and longer than it was', { timeout: 120_000 }, async () => {
    const place = await twoCheckpoints(20);
    const whole = place.bytesOf(which);
    for (let length = 0; length < whole.length; length++) {
      const { id, reason } = place.openWith(which, whole.slice(0, length));
      expect(id, `length ${length}`).toBe(1);
      expect(reason).toContain(place.pathOf[which]);
    }
    const longer = new Uint8Array(whole.length + 8);
    longer.set(whole);
    expect(place.openWith(which, longer).id).toBe(1);
    const { id, reason } = place.openWith(which, null);
    expect(id).toBe(1);
    if (which === 'part') expect(reason).toBe(`${place.pathOf.part}: is missing`);
  });
});

test('a reader refuses a damaged header, whichever byte', async () => {
  const place = await twoCheckpoints(20);
  for (let at = 0; at < headerBytes; at++) {
    const bytes = place.bytesOf('part').slice();
    bytes[at]! ^= 4;
    expect(refusesDamage(place, 'part', bytes), `byte ${at}`).toBeNull();
  }
});

test('random flips of a large checkpoint are never silently loaded', { timeout: 120_000 }, async () => {
  const place = await twoCheckpoints(20_000);
  const whole = place.bytesOf('part');
  expect(whole.length).toBeGreaterThan(1.5 * 1024 * 1024);
  const random = prng(11);
  for (let i = 0; i < 20; i++) {
    const bytes = whole.slice();
    const at = random.below(bytes.length);
    bytes[at]! ^= 1 << random.below(8);
    expect(refusesDamage(place, 'part', bytes), `byte ${at}`).toBeNull();
  }
  expect(place.loads()).toBe(true);
});
