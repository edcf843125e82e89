/**
 * Bugs planted into the real ring and doorbell, as patches of their source: the exploration must find each. A patch whose
 * text is no longer there, or is there twice, is an error: it has to follow the code.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import * as assertModule from '../../core/base/assert.ts';
import * as errors from '../../core/base/errors.ts';
import * as limits from '../../core/base/limits.ts';
import * as frameLayout from '../../core/record/frame-layout.ts';
import * as doorbell from '../../workers/exchange/doorbell.ts';
import * as inbox from '../../workers/exchange/inbox.ts';
import * as ring from '../../workers/exchange/ring.ts';
import type { Code } from './ring-scenes.ts';

export interface PlantedBug {
  readonly name: string;
  readonly file: 'ring.ts' | 'doorbell.ts';
  readonly patches: readonly (readonly [find: string, replace: string])[];
}

/** The engine's own code. */
export const sound: Code = { ring, doorbell };

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'a producer does not look again before it waits',
    file: 'ring.ts',
    patches: [
      [
        `this.#atoms.store(i32, this.#waitingIndex(), 1);
    this.headSeen = this.#atoms.load(i32, head);`,
        'this.#atoms.store(i32, this.#waitingIndex(), 1);',
      ],
    ],
  },
  {
    name: 'a slot parks on the counter as it is, not as it was before the round',
    file: 'doorbell.ts',
    patches: [['this.#counter, this.seen);', 'this.#counter, this.#atoms.load(this.#words, this.#counter));']],
  },
  {
    name: 'a release wakes nobody',
    file: 'ring.ts',
    patches: [['>= this.#bytes) this.#wakeProducer();', '>= this.#bytes) return;']],
  },
  {
    name: 'one waiting flag for all rings',
    file: 'ring.ts',
    patches: [
      ['return (this.#header + ChannelLine.producerWaiting) >>> 2;', 'return 0;'],
      ['const waiting = (this.#header + ChannelLine.producerWaiting) >>> 2;', 'const waiting = 0;'],
    ],
  },
  {
    name: 'the doorbell is rung before the commit',
    file: 'ring.ts',
    patches: [
      [
        `this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.tail) >>> 2, this.tail);
    this.#consumer.news(this.#bit);`,
        `this.#consumer.news(this.#bit);
    this.#atoms.store(this.#peer.i32, (this.#header + ChannelLine.tail) >>> 2, this.tail);`,
      ],
    ],
  },
  {
    name: 'the barrier cell is read before the tail',
    file: 'ring.ts',
    patches: [
      [
        'this.tailSeen = this.#atoms.load(i32, (this.#header + ChannelLine.tail) >>> 2);',
        'const early = this.#atoms.load(i32, (this.#header + ChannelLine.barrier + Barrier.state) >>> 2); this.tailSeen = this.#atoms.load(i32, (this.#header + ChannelLine.tail) >>> 2);',
      ],
      [
        'if (this.barrierSet || this.#atoms.load(i32, (cell + Barrier.state) >>> 2) === 0) return;',
        'if (this.barrierSet || early === 0) return;',
      ],
    ],
  },
  {
    name: 'a barrier overwrites the one before',
    file: 'ring.ts',
    patches: [['if (this.#atoms.load(i32, state) !== 0) return false;', '']],
  },
  {
    name: 'whoever rings looks whether the owner waits before it counts',
    file: 'doorbell.ts',
    patches: [
      [
        `atoms.add(words, counter, 1);
  if (atoms.load(words, waiting) === 1) atoms.notify(words, counter);`,
        `const waits = atoms.load(words, waiting) === 1;
  atoms.add(words, counter, 1);
  if (waits) atoms.notify(words, counter);`,
      ],
    ],
  },
  {
    name: 'a receiver that leaves wakes nobody',
    file: 'ring.ts',
    patches: [
      [
        `ChannelLine.closed) >>> 2, 1);
    this.#wakeProducer();`,
        'ChannelLine.closed) >>> 2, 1);',
      ],
    ],
  },
];

/** The engine's code with a bug in it. */
export function planted(bug: PlantedBug): Code {
  const path = join(import.meta.dirname, '../../workers/exchange', bug.file);
  let source = readFileSync(path, 'utf8');
  for (const [find, replace] of bug.patches) {
    const parts = source.split(find);
    if (parts.length !== 2) {
      throw new Error(`planted bug '${bug.name}': its text is ${parts.length - 1} times in ${bug.file}, not once`);
    }
    source = parts.join(replace);
  }
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  });
  const exports: Record<string, unknown> = {};
  new Function('exports', 'require', outputText)(exports, provide);
  return bug.file === 'ring.ts'
    ? { ring: exports as unknown as typeof ring, doorbell }
    : { ring, doorbell: exports as unknown as typeof doorbell };
}

const modules: Readonly<Record<string, unknown>> = {
  '../../core/base/assert.ts': assertModule,
  '../../core/base/errors.ts': errors,
  '../../core/base/limits.ts': limits,
  '../../core/record/frame-layout.ts': frameLayout,
  './inbox.ts': inbox,
};

function provide(name: string): unknown {
  const found = modules[name];
  if (found === undefined) throw new Error(`a planted bug imports ${name}: add it to planted.ts`);
  return found;
}
