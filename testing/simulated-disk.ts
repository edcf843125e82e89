/**
 * A disk in memory that fails as disks do: at any call by an error or a crash; and in a crash it loses what nobody synced,
 * keeps some of it, tears the last write, and makes names durable out of order. It knows bytes and names, nothing of what
 * they mean. Everything it decides comes from one seed.
 *
 * What survives a crash, and only that, is the law of core/ports/disk.ts: bytes before a `sync` that resolved, names before
 * a `syncDirectory`. All else may or may not:
 *
 *   bytes   each write since the last sync survives whole, in part, or not at all; where one survives behind one that did
 *           not, the gap reads as zeros
 *   names   each create, rename and removal since the last `syncDirectory` of its directory survives or not, one by one,
 *           as long as it can be done to what survived before it; a rename is never half done
 */
import { assert } from '../core/base/assert.ts';
import { type Prng, prng } from '../core/base/prng.ts';
import type { Disk, DiskFile, DiskReader } from '../core/ports/disk.ts';

/** What may befall a call. `torn` is of writes: a part is written, then the crash comes. */
export type DiskFault = 'error' | 'crashBefore' | 'crashAfter' | 'torn';

export type DiskCall =
  | 'create'
  | 'open'
  | 'read'
  | 'list'
  | 'rename'
  | 'remove'
  | 'removeTree'
  | 'makeDirectory'
  | 'syncDirectory'
  | 'stat'
  | 'write'
  | 'sync';

/** The process is gone. Thrown by the call in which it died and by every call until `restart`. */
export class SimulatedCrash extends Error {
  readonly code = 'CRASHED';
  constructor() {
    super('the simulated machine has crashed');
    this.name = 'SimulatedCrash';
  }
}

export interface SimulatedDisk extends Disk {
  /** Called before each call with its number (from 1): what befalls it. Null: nothing. */
  onCall: (call: DiskCall, path: string, n: number) => DiskFault | null;
  /** Calls so far. */
  readonly calls: number;
  /** How often each fault happened. */
  readonly faults: Readonly<
    Record<DiskFault | 'lostWrites' | 'keptWrites' | 'tornWrites' | 'lostNames' | 'keptNames', number>
  >;
  /** Power is lost: everything throws until `restart`. */
  crash(): void;
  /** The machine is up again, with what survived. `lossless`: the process died, not the machine; nothing is lost. */
  restart(options?: { readonly lossless?: boolean }): void;
  readonly crashed: boolean;
  /** Modification times come from here. */
  now: () => number;
}

interface Content {
  /** What reads see. */
  live: Uint8Array;
  liveBytes: number;
  /** What a crash cannot take. */
  durable: Uint8Array;
  pending: { readonly at: number; readonly bytes: Uint8Array }[];
  modifiedMs: number;
}

type NameChange =
  | { readonly kind: 'create'; readonly path: string; readonly content: Content }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'makeDirectory'; readonly path: string };

interface Names {
  readonly files: Map<string, Content>;
  readonly directories: Set<string>;
}

export function simulatedDisk(seed: number): SimulatedDisk {
  const random = prng(seed);
  let live: Names = { files: new Map(), directories: new Set(['/', '.']) };
  const durable: Names = { files: new Map(), directories: new Set(['/', '.']) };
  let changes: NameChange[] = [];
  let generation = 0;
  let crashed = false;
  let calls = 0;
  const faults = {
    error: 0,
    crashBefore: 0,
    crashAfter: 0,
    torn: 0,
    lostWrites: 0,
    keptWrites: 0,
    tornWrites: 0,
    lostNames: 0,
    keptNames: 0,
  };

  const die = (): never => {
    crashed = true;
    throw new SimulatedCrash();
  };

  /** Runs a call under whatever befalls it. `partly` is what `torn` does of it. */
  const guarded = <T>(call: DiskCall, path: string, work: () => T, partly: () => void = () => {}): T => {
    if (crashed) throw new SimulatedCrash();
    calls++;
    const fault = disk.onCall(call, path, calls);
    if (fault === null) return work();
    faults[fault]++;
    if (fault === 'error') throw failure(call === 'write' ? 'ENOSPC' : 'EIO', call, path);
    if (fault === 'crashAfter') work();
    if (fault === 'torn') partly();
    return die();
  };

  const change = (what: NameChange): void => {
    apply(live, what);
    changes.push(what);
  };

  const directoryMustExist = (call: string, path: string): void => {
    if (!live.directories.has(parentOf(path))) throw failure('ENOENT', call, path);
  };

  const fileAt = (call: string, path: string): Content => {
    const found = live.files.get(path);
    if (found) return found;
    throw failure(live.directories.has(path) ? 'EISDIR' : 'ENOENT', call, path);
  };

  const writable = (path: string, content: Content): DiskFile => {
    const born = generation;
    let open = true;
    const alive = (): void => {
      if (crashed || born !== generation) throw new SimulatedCrash();
      if (!open) throw failure('EBADF', 'write', path);
    };
    const append = (bytes: Uint8Array): void => {
      if (bytes.length === 0) return;
      const copy = bytes.slice();
      content.pending.push({ at: content.liveBytes, bytes: copy });
      put(content, content.liveBytes, copy);
      content.modifiedMs = disk.now();
    };
    const sync = (): void => {
      alive();
      try {
        guarded('sync', path, () => makeDurable(content));
      } catch (error) {
        // The kernel forgets that these pages were dirty: no later sync brings them back.
        if (!(error instanceof SimulatedCrash)) content.pending = [];
        throw error;
      }
    };
    return {
      get bytes() {
        return content.liveBytes;
      },
      write(bytes) {
        alive();
        const part = (): void => append(bytes.subarray(0, random.below(bytes.length + 1)));
        guarded('write', path, () => append(bytes), part);
      },
      async sync() {
        sync();
      },
      syncNow: sync,
      close() {
        open = false;
      },
    };
  };

  /** Makes durable what concerns names in `directory`, and what those changes stand on. */
  const settleNames = (directory: string): void => {
    const needed = new Set<number>();
    const touched = new Set<string>();
    for (let i = changes.length - 1; i >= 0; i--) {
      const paths = pathsOf(changes[i] as NameChange);
      const concerns = paths.some((path) => parentOf(path) === directory || overlaps(touched, path));
      if (!concerns) continue;
      needed.add(i);
      for (const path of paths) touched.add(path);
    }
    changes = changes.filter((what, i) => {
      if (!needed.has(i)) return true;
      apply(durable, what);
      return false;
    });
  };

  const disk: SimulatedDisk = {
    onCall: () => null,
    now: () => 0,
    faults,
    get calls() {
      return calls;
    },
    get crashed() {
      return crashed;
    },
    create(path) {
      return guarded('create', path, () => {
        directoryMustExist('create', path);
        if (live.files.has(path) || live.directories.has(path)) throw failure('EEXIST', 'create', path);
        const content: Content = {
          live: new Uint8Array(0),
          liveBytes: 0,
          durable: new Uint8Array(0),
          pending: [],
          modifiedMs: disk.now(),
        };
        change({ kind: 'create', path, content });
        return writable(path, content);
      });
    },
    open(path): DiskReader {
      return guarded('open', path, () => {
        const content = fileAt('open', path);
        const born = generation;
        return {
          get bytes() {
            return content.liveBytes;
          },
          read(at, length) {
            if (born !== generation) throw new SimulatedCrash();
            return guarded('read', path, () => content.live.slice(at, Math.min(at + length, content.liveBytes)));
          },
          close() {},
        };
      });
    },
    read: (path) =>
      guarded('read', path, () => {
        const content = fileAt('read', path);
        return content.live.slice(0, content.liveBytes);
      }),
    list: (directory) =>
      guarded('list', directory, () => {
        const names = [...live.files.keys(), ...live.directories].filter(
          (path) => path !== directory && parentOf(path) === directory,
        );
        return names.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
      }),
    rename(from, to) {
      guarded('rename', from, () => {
        if (!live.files.has(from) && !live.directories.has(from)) throw failure('ENOENT', 'rename', from);
        directoryMustExist('rename', to);
        if (live.directories.has(from) && (live.files.has(to) || live.directories.has(to))) {
          throw failure('ENOTEMPTY', 'rename', to);
        }
        if (live.directories.has(to)) throw failure('EISDIR', 'rename', to);
        change({ kind: 'rename', from, to });
      });
    },
    remove(path) {
      guarded('remove', path, () => {
        if (live.directories.has(path)) throw failure('EISDIR', 'remove', path);
        if (live.files.has(path)) change({ kind: 'remove', path });
      });
    },
    removeTree(path) {
      guarded('removeTree', path, () => {
        const within = [...live.files.keys(), ...live.directories].filter((at) => at === path || isUnder(at, path));
        for (const at of within.sort().reverse()) change({ kind: 'remove', path: at });
      });
    },
    makeDirectory(path) {
      guarded('makeDirectory', path, () => {
        for (const at of withParents(path)) {
          if (live.files.has(at)) throw failure('ENOTDIR', 'makeDirectory', path);
          if (!live.directories.has(at)) change({ kind: 'makeDirectory', path: at });
        }
      });
    },
    syncDirectory(path) {
      guarded('syncDirectory', path, () => {
        if (!live.directories.has(path)) throw failure('ENOENT', 'syncDirectory', path);
        settleNames(path);
      });
    },
    stat: (path) =>
      guarded('stat', path, () => {
        const content = live.files.get(path);
        if (content) return { kind: 'file', bytes: content.liveBytes, modifiedMs: content.modifiedMs };
        return live.directories.has(path) ? { kind: 'directory', bytes: 0, modifiedMs: 0 } : null;
      }),
    crash() {
      crashed = true;
    },
    restart(options = {}) {
      crashed = false;
      generation++;
      if (options.lossless) return;
      for (const what of changes) {
        if (random.below(2) === 0 || !canApply(durable, what)) faults.lostNames++;
        else {
          faults.keptNames++;
          apply(durable, what);
        }
      }
      changes = [];
      for (const content of durable.files.values()) settleBytes(content, random, faults);
      live = { files: new Map(durable.files), directories: new Set(durable.directories) };
    },
  };
  return disk;
}

function put(content: Content, at: number, bytes: Uint8Array): void {
  const end = at + bytes.length;
  if (end > content.live.length) {
    const larger = new Uint8Array(Math.max(end, content.live.length * 2, 256));
    larger.set(content.live.subarray(0, content.liveBytes));
    content.live = larger;
  }
  content.live.set(bytes, at);
  content.liveBytes = Math.max(content.liveBytes, end);
}

/** What a sync makes durable: the durable bytes and all writes since. Those that a failed sync forgot stay holes. */
function makeDurable(content: Content): void {
  content.durable = survivors(content, content.pending);
  content.pending = [];
}

/** A crash decides, write by write, what was on its way to the disk. */
function settleBytes(
  content: Content,
  random: Prng,
  faults: { lostWrites: number; keptWrites: number; tornWrites: number },
): void {
  const kept: { at: number; bytes: Uint8Array }[] = [];
  for (const write of content.pending) {
    const fate = random.below(4);
    if (fate < 2) faults.lostWrites++;
    else if (fate === 2) {
      faults.keptWrites++;
      kept.push(write);
    } else {
      faults.tornWrites++;
      kept.push({ at: write.at, bytes: write.bytes.subarray(0, random.below(write.bytes.length + 1)) });
    }
  }
  content.durable = survivors(content, kept);
  content.pending = [];
  content.live = content.durable.slice();
  content.liveBytes = content.durable.length;
}

function survivors(content: Content, writes: readonly { at: number; bytes: Uint8Array }[]): Uint8Array {
  const end = writes.reduce((most, { at, bytes }) => (bytes.length > 0 ? Math.max(most, at + bytes.length) : most), 0);
  const bytes = new Uint8Array(Math.max(end, content.durable.length));
  bytes.set(content.durable);
  for (const write of writes) if (write.bytes.length > 0) bytes.set(write.bytes, write.at);
  return bytes;
}

function canApply(names: Names, what: NameChange): boolean {
  const has = (path: string): boolean => names.files.has(path) || names.directories.has(path);
  switch (what.kind) {
    case 'create':
      return names.directories.has(parentOf(what.path)) && !has(what.path);
    case 'makeDirectory':
      return names.directories.has(parentOf(what.path)) && !has(what.path);
    case 'remove':
      return has(what.path) && !childrenOf(names, what.path);
    case 'rename':
      return (
        has(what.from) &&
        names.directories.has(parentOf(what.to)) &&
        !names.directories.has(what.to) &&
        !(names.directories.has(what.from) && names.files.has(what.to))
      );
  }
}

/** Changes `names`. What it needs that is not there is passed over: a durable directory may lack what was never durable. */
function apply(names: Names, what: NameChange): void {
  switch (what.kind) {
    case 'create':
      names.files.set(what.path, what.content);
      return;
    case 'makeDirectory':
      names.directories.add(what.path);
      return;
    case 'remove':
      names.files.delete(what.path);
      names.directories.delete(what.path);
      return;
    case 'rename': {
      const content = names.files.get(what.from);
      if (content) {
        names.files.delete(what.from);
        names.files.set(what.to, content);
        return;
      }
      assert(!names.files.has(what.to), 'a directory renamed over a file');
      const moved = (path: string): string => what.to + path.slice(what.from.length);
      const inside = (path: string): boolean => path === what.from || isUnder(path, what.from);
      for (const path of [...names.directories].filter(inside)) {
        names.directories.delete(path);
        names.directories.add(moved(path));
      }
      for (const [path, file] of [...names.files].filter(([path]) => inside(path))) {
        names.files.delete(path);
        names.files.set(moved(path), file);
      }
    }
  }
}

const pathsOf = (what: NameChange): readonly string[] => (what.kind === 'rename' ? [what.from, what.to] : [what.path]);

/** `path` is, holds, or lies in one of `touched`. */
function overlaps(touched: ReadonlySet<string>, path: string): boolean {
  for (const other of touched) if (other === path || isUnder(other, path) || isUnder(path, other)) return true;
  return false;
}

const isUnder = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

const childrenOf = (names: Names, path: string): boolean =>
  [...names.files.keys(), ...names.directories].some((at) => isUnder(at, path));

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}

function withParents(path: string): string[] {
  const parent = parentOf(path);
  return parent === path || parent === '/' || parent === '.' ? [path] : [...withParents(parent), path];
}

function failure(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code, path, syscall: call });
}
