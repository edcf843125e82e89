import { describe, expect, test } from 'vitest';
import { prng } from '../../core/base/prng.ts';
import { SimulatedCrash, simulatedDisk } from '../../testing/simulated-disk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (of: Uint8Array): string => new TextDecoder().decode(of);

/** Many seeds of one story; what they ended with, counted. */
function outcomes(story: (seed: number) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let seed = 1; seed <= 300; seed++) {
    const outcome = story(seed);
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return counts;
}

describe('a simulated disk', () => {
  test('reads what was written, lists what was created, and answers as Node does where nothing is', () => {
    const disk = simulatedDisk(1);
    disk.makeDirectory('/a/b');
    const file = disk.create('/a/b/x');
    file.write(bytes('hello '));
    file.write(bytes('world'));
    expect(text(disk.read('/a/b/x'))).toBe('hello world');
    expect(text(disk.open('/a/b/x').read(6, 100))).toBe('world');
    expect(disk.list('/a')).toEqual(['b']);
    expect(disk.list('/nowhere')).toEqual([]);
    expect(() => disk.create('/a/b/x')).toThrow('EEXIST');
    expect(() => disk.read('/a/b/y')).toThrow('ENOENT');
    expect(() => disk.create('/none/x')).toThrow('ENOENT');
    expect(() => disk.rename('/a/b/y', '/a/y')).toThrow('ENOENT');
    disk.rename('/a/b', '/a/c');
    expect(text(disk.read('/a/c/x'))).toBe('hello world');
    disk.removeTree('/a/c');
    expect(disk.list('/a')).toEqual([]);
  });

  test('what was synced, name and bytes, survives every crash', () => {
    const found = outcomes((seed) => {
      const disk = simulatedDisk(seed);
      disk.makeDirectory('/d');
      disk.syncDirectory('/');
      const file = disk.create('/d/t');
      file.write(bytes('whole'));
      file.syncNow();
      disk.rename('/d/t', '/d/f');
      disk.syncDirectory('/d');
      disk.crash();
      disk.restart();
      return `${disk.list('/d').join()}:${text(disk.read('/d/f'))}`;
    });
    expect([...found.keys()]).toEqual(['f:whole']);
  });

  test('what was not synced is lost, kept or torn; a rename without a directory sync happens or not', () => {
    const found = outcomes((seed) => {
      const disk = simulatedDisk(seed);
      disk.makeDirectory('/d');
      const file = disk.create('/d/t');
      disk.syncDirectory('/');
      disk.syncDirectory('/d');
      file.write(bytes('ab'));
      file.write(bytes('cd'));
      disk.rename('/d/t', '/d/f');
      disk.crash();
      disk.restart();
      const [name] = disk.list('/d');
      return `${name}:${JSON.stringify(text(disk.read(`/d/${name}`)))}`;
    });
    for (const expected of ['t:"abcd"', 'f:"abcd"', 'f:""', 'f:"ab"', 't:"abc"', 'f:"\\u0000\\u0000cd"']) {
      expect(found.get(expected), expected).toBeGreaterThan(0);
    }
  });

  test('a file renamed before its bytes were synced may be empty under its new name', () => {
    const found = outcomes((seed) => {
      const disk = simulatedDisk(seed);
      const file = disk.create('/t');
      file.write(bytes('x'));
      disk.rename('/t', '/f');
      disk.syncDirectory('/');
      disk.crash();
      disk.restart();
      return text(disk.read('/f'));
    });
    expect([...found.keys()].sort()).toEqual(['', 'x']);
  });

  test('bytes of a sync that failed come back by no later sync', () => {
    const disk = simulatedDisk(3);
    const file = disk.create('/f');
    disk.syncDirectory('/');
    file.write(bytes('lost'));
    disk.onCall = (call) => (call === 'sync' ? 'error' : null);
    expect(() => file.syncNow()).toThrow('EIO');
    disk.onCall = () => null;
    file.write(bytes('kept'));
    file.syncNow();
    disk.crash();
    disk.restart();
    expect(disk.read('/f')).toEqual(new Uint8Array([0, 0, 0, 0, ...bytes('kept')]));
  });

  test('a process that dies on a machine that does not loses nothing, and its open files are dead', () => {
    const disk = simulatedDisk(4);
    const file = disk.create('/f');
    file.write(bytes('a'));
    disk.onCall = () => 'crashAfter';
    expect(() => file.write(bytes('b'))).toThrow(SimulatedCrash);
    disk.onCall = () => null;
    expect(() => disk.read('/f')).toThrow(SimulatedCrash);
    disk.restart({ lossless: true });
    expect(text(disk.read('/f'))).toBe('ab');
    expect(() => file.write(bytes('c'))).toThrow(SimulatedCrash);
  });

  test('the same seed and calls give the same end', () => {
    const story = (seed: number): string => {
      const disk = simulatedDisk(seed);
      const random = prng(seed);
      disk.makeDirectory('/d');
      for (let i = 0; i < 40; i++) {
        const path = `/d/${random.below(5)}`;
        if (disk.stat(path) === null) disk.create(path).write(bytes(`${i}`));
        else if (random.below(2) === 0) disk.remove(path);
        else disk.rename(path, `/d/${random.below(5)}`);
        if (random.below(8) === 0) disk.syncDirectory('/d');
      }
      disk.crash();
      disk.restart();
      return disk
        .list('/d')
        .map((name) => `${name}=${text(disk.read(`/d/${name}`))}`)
        .join();
    };
    for (let seed = 1; seed < 20; seed++) expect(story(seed), `seed ${seed}`).toBe(story(seed));
    expect(new Set(Array.from({ length: 20 }, (_, seed) => story(seed))).size).toBeGreaterThan(5);
  });
});
