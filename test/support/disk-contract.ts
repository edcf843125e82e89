/** What every `Disk` must do, whatever it is made of. `root` is an empty directory of that disk. */
import { describe, expect, test } from 'vitest';
import type { Disk } from '../../core/ports/disk.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (of: Uint8Array): string => new TextDecoder().decode(of);
const codeOf = (work: () => unknown): string | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

export function diskContract(name: string, make: () => { disk: Disk; root: string }): void {
  describe(`a disk: ${name}`, () => {
    test('gives back what was written, whole or in part', async () => {
      const { disk, root } = make();
      const file = disk.create(`${root}/a`);
      file.write(bytes('hello '));
      const shared = new Uint8Array(new SharedArrayBuffer(5));
      shared.set(bytes('world'));
      file.write(shared);
      file.write(new Uint8Array(0));
      expect(file.bytes).toBe(11);
      await file.sync();
      file.syncNow();
      file.close();
      file.close();
      expect(text(disk.read(`${root}/a`))).toBe('hello world');
      const reader = disk.open(`${root}/a`);
      expect(reader.bytes).toBe(11);
      expect(text(reader.read(6, 3))).toBe('wor');
      expect(text(reader.read(6, 100))).toBe('world');
      expect(reader.read(11, 10)).toHaveLength(0);
      reader.close();
      reader.close();
      expect(disk.stat(`${root}/a`)).toMatchObject({ kind: 'file', bytes: 11 });
    });

    test('writes and reads a block of megabytes', async () => {
      const { disk, root } = make();
      const block = new Uint8Array(3 * 1024 * 1024).map((_, i) => (i * 31) >>> 3);
      const file = disk.create(`${root}/large`);
      file.write(block);
      const syncing = file.sync();
      // A close in the middle of a sync waits for it.
      file.close();
      await syncing;
      expect(Buffer.compare(disk.open(`${root}/large`).read(0, block.length), block)).toBe(0);
    });

    test('creates a name once, and only where its directory is', () => {
      const { disk, root } = make();
      disk.create(`${root}/a`).close();
      expect(codeOf(() => disk.create(`${root}/a`))).toBe('EEXIST');
      expect(codeOf(() => disk.create(`${root}/none/a`))).toBe('ENOENT');
      expect(codeOf(() => disk.open(`${root}/none`))).toBe('ENOENT');
      expect(codeOf(() => disk.read(`${root}/none`))).toBe('ENOENT');
      expect(disk.stat(`${root}/none`)).toBeNull();
    });

    test('lists names in order, and nothing where there is nothing', () => {
      const { disk, root } = make();
      disk.makeDirectory(`${root}/d/e`);
      disk.makeDirectory(`${root}/d/e`);
      for (const name of ['b', 'a', 'c']) disk.create(`${root}/d/${name}`).close();
      expect(disk.list(`${root}/d`)).toEqual(['a', 'b', 'c', 'e']);
      expect(disk.list(`${root}/none`)).toEqual([]);
      expect(disk.stat(`${root}/d`)?.kind).toBe('directory');
      disk.syncDirectory(`${root}/d`);
    });

    test('renames files over files, and directories with all they hold; what is gone cannot be renamed', () => {
      const { disk, root } = make();
      disk.makeDirectory(`${root}/d`);
      for (const name of ['a', 'b']) {
        const file = disk.create(`${root}/d/${name}`);
        file.write(bytes(name));
        file.close();
      }
      disk.rename(`${root}/d/a`, `${root}/d/b`);
      expect(disk.list(`${root}/d`)).toEqual(['b']);
      expect(text(disk.read(`${root}/d/b`))).toBe('a');
      expect(codeOf(() => disk.rename(`${root}/d/a`, `${root}/d/c`))).toBe('ENOENT');
      disk.rename(`${root}/d`, `${root}/e`);
      expect(text(disk.read(`${root}/e/b`))).toBe('a');
      expect(codeOf(() => disk.rename(`${root}/d/b`, `${root}/b`))).toBe('ENOENT');
      expect(codeOf(() => disk.rename(`${root}/e/b`, `${root}/none/b`))).toBe('ENOENT');
    });

    test('a directory does not replace one that holds something', () => {
      const { disk, root } = make();
      disk.makeDirectory(`${root}/new/x`);
      disk.makeDirectory(`${root}/old/y`);
      expect(['ENOTEMPTY', 'EEXIST']).toContain(codeOf(() => disk.rename(`${root}/new`, `${root}/old`)));
      expect(disk.list(`${root}/old`)).toEqual(['y']);
      expect(disk.list(`${root}/new`)).toEqual(['x']);
    });

    test('removes files and trees, and what is not there', () => {
      const { disk, root } = make();
      disk.makeDirectory(`${root}/d/e/f`);
      disk.create(`${root}/d/e/a`).close();
      disk.remove(`${root}/d/e/a`);
      disk.remove(`${root}/d/e/a`);
      expect(disk.list(`${root}/d/e`)).toEqual(['f']);
      disk.create(`${root}/d/e/f/g`).close();
      disk.removeTree(`${root}/d`);
      disk.removeTree(`${root}/d`);
      expect(disk.list(root)).toEqual([]);
    });

    test('an open file goes on under a name that has become another’s', () => {
      const { disk, root } = make();
      disk.makeDirectory(`${root}/1`);
      const file = disk.create(`${root}/1/a`);
      file.write(bytes('a'));
      disk.rename(`${root}/1`, `${root}/2`);
      file.write(bytes('b'));
      file.syncNow();
      file.close();
      expect(text(disk.read(`${root}/2/a`))).toBe('ab');
      expect(disk.stat(`${root}/1`)).toBeNull();
    });
  });
}
