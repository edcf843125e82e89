/** Holds the house together: which room may import which, no cycles among files, no dead files, no stray dependency. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

/** Top-level rooms, and what each may import besides itself. */
const rooms: Record<string, readonly string[]> = {
  core: [],
  kernels: ['core'],
  state: ['core'],
  connectors: ['core'],
  workers: ['core'],
  engine: ['core', 'kernels', 'state', 'connectors', 'workers'],
  testing: ['core', 'connectors', 'engine'],
  cli: ['core', 'engine'],
  bench: ['core', 'kernels', 'state', 'connectors', 'workers', 'engine', 'index.ts', 'functions.ts', 'nexmark.ts'],
};

/** Inside core: each room and what it may import besides itself. `api`, `operators` and `schedule` do not know one another. */
const coreRooms: Record<string, readonly string[]> = {
  base: [],
  record: ['base', 'ports'],
  time: ['base', 'record'],
  expr: ['base', 'record', 'time'],
  ports: ['base', 'record', 'time', 'expr'],
  compile: ['base', 'record', 'time', 'expr', 'ports'],
  plan: ['base', 'record', 'time', 'expr', 'ports', 'compile'],
  api: ['base', 'record', 'time', 'expr', 'ports', 'plan'],
  operators: ['base', 'record', 'time', 'expr', 'ports', 'compile', 'plan'],
  schedule: ['base', 'record', 'ports', 'plan'],
};

/** Packages a room may import; core none at all. */
const packages: Record<string, readonly string[]> = {
  core: [],
  kernels: [],
  state: [],
  connectors: ['apache-arrow'],
  workers: ['piscina'],
  engine: ['jiti'],
  testing: [],
  cli: ['commander', 'cli-table3'],
};

const folders = [...Object.keys(rooms)];

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (name === 'assembly') return [];
    if (statSync(join(root, path)).isDirectory()) return filesIn(path);
    return path.endsWith('.ts') && !path.endsWith('.d.ts') ? [path] : [];
  });
}

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const imports = (file: string): Import[] => {
  const text = readFileSync(join(root, file), 'utf8');
  const found: Import[] = [];
  const statement =
    /^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  for (const match of text.matchAll(statement)) {
    found.push({ from: file, to: (match[2] ?? match[3] ?? match[4]) as string, typeOnly: match[1] !== undefined });
  }
  return found;
};

const files = folders.flatMap(filesIn);
const all = files.flatMap(imports);
const resolved = (i: Import): string => relative(root, normalize(join(root, dirname(i.from), i.to)));
const roomOf = (path: string): string => path.split('/')[0] as string;

describe('rooms', () => {
  test('each top-level room imports only what stands before it', () => {
    const wrong = all
      .filter((i) => i.to.startsWith('.'))
      .filter((i) => roomOf(resolved(i)) !== roomOf(i.from) && !rooms[roomOf(i.from)]!.includes(roomOf(resolved(i))))
      .map((i) => `${i.from} imports ${resolved(i)}`);
    expect(wrong).toEqual([]);
  });

  test('inside core the arrows are a line', () => {
    const inner = (path: string): string => path.split('/')[1] as string;
    const wrong = all
      .filter((i) => i.from.startsWith('core/') && i.to.startsWith('.') && resolved(i).startsWith('core/'))
      .filter((i) => inner(resolved(i)) !== inner(i.from) && !coreRooms[inner(i.from)]!.includes(inner(resolved(i))))
      .map((i) => `${i.from} imports ${resolved(i)}`);
    expect(wrong).toEqual([]);
  });

  test('core imports no package and no module of Node; others only what they are for', () => {
    const wrong = all
      .filter((i) => !i.to.startsWith('.'))
      .filter((i) => {
        const room = roomOf(i.from);
        if (i.to.startsWith('node:')) return room === 'core';
        if (room === 'bench') return false;
        const name = i.to.startsWith('@') ? i.to.split('/').slice(0, 2).join('/') : i.to.split('/')[0];
        return !packages[room]?.includes(name as string);
      })
      .map((i) => `${i.from} imports ${i.to}`);
    expect(wrong).toEqual([]);
  });

  test('rivals are known in bench and test only', () => {
    const rivals = ['@duckdb/node-api', 'nodejs-polars'];
    expect(all.filter((i) => rivals.includes(i.to) && roomOf(i.from) !== 'bench').map((i) => i.from)).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
    expect(Object.keys(manifest.dependencies).filter((name) => rivals.includes(name))).toEqual([]);
  });

  test('no file imports itself in a circle', () => {
    const graph = new Map<string, string[]>();
    for (const i of all) {
      if (i.typeOnly || !i.to.startsWith('.')) continue;
      graph.set(i.from, [...(graph.get(i.from) ?? []), resolved(i)]);
    }
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
        return;
      }
      state.set(file, 'open');
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });

  test('every file is reached from an entry point', () => {
    const entries = [
      'index.ts',
      'functions.ts',
      'nexmark.ts',
      'testing.ts',
      'cli/main.ts',
      'engine/worker-main.ts',
      'engine/coordinator-main.ts',
      'engine/local.ts',
      'testing/simulated-disk.ts',
      'core/record/row-bytes.ts',
    ];
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const i of imports(file)) if (i.to.startsWith('.')) visit(resolved(i));
    };
    for (const file of [...entries, ...files.filter((f) => f.startsWith('bench/'))]) visit(file);
    expect(files.filter((file) => !reached.has(file))).toEqual([]);
  });
});
