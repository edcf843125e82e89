/** A house for exchange tests: a plan of two chains and one edge (or what a test asks for), memories with inboxes, contexts. */
import { assert } from '../../core/base/assert.ts';
import type { Chain, Edge, Exchange, PhysicalPlan } from '../../core/plan/physical.ts';
import type { Layout, LayoutColumn, StorageKind } from '../../core/record/layout.ts';
import { slotMemory } from '../../core/record/memory.ts';
import type { DataType } from '../../core/record/types.ts';
import { loadKernels } from '../../kernels/load.ts';
import { type ExchangeContext, exchangeContext, resetInbox } from '../../workers/exchange/context.ts';
import { type InboxBudget, planInboxes } from '../../workers/exchange/inbox.ts';

const types: Readonly<Record<StorageKind, DataType>> = {
  bit: { kind: 'BOOLEAN' },
  i32: { kind: 'INT' },
  i64: { kind: 'BIGINT' },
  f64: { kind: 'DOUBLE' },
  view: { kind: 'VARCHAR' },
};

/** Columns c0, c1, … of these storages, all nullable. */
export function layoutFrom(storages: readonly StorageKind[]): Layout {
  return storages.map((storage, i): LayoutColumn => ({ name: `c${i}`, type: types[storage], nullable: true, storage }));
}

export interface EdgeSpec {
  readonly from: number;
  readonly to: number;
  readonly port?: number;
  readonly exchange: Exchange;
  readonly layout: Layout;
}

/** Chains by parallelism (`'caller'`: one subtask on the calling thread), edges between them. Chains have no operators. */
export function planOf(chains: readonly (number | 'caller')[], edges: readonly EdgeSpec[]): PhysicalPlan {
  const made = edges.map(
    (edge, id): Edge => ({
      id,
      from: { chain: edge.from, operator: 0, port: 0 },
      to: { chain: edge.to, port: edge.port ?? 0 },
      exchange: edge.exchange,
      layout: edge.layout,
      updating: true,
    }),
  );
  return {
    version: 1,
    name: 'test',
    bounded: true,
    edges: made,
    chains: chains.map((parallelism, id): Chain => {
      const inputs: number[][] = [];
      for (const edge of made) {
        if (edge.to.chain !== id) continue;
        while (inputs.length <= edge.to.port) inputs.push([]);
        inputs[edge.to.port]!.push(edge.id);
      }
      return {
        id,
        parallelism: parallelism === 'caller' ? 1 : parallelism,
        place: parallelism === 'caller' ? 'caller' : 'slots',
        operators: [],
        inputs,
      };
    }),
  } as PhysicalPlan;
}

export interface House {
  readonly plan: PhysicalPlan;
  /** By participant. */
  readonly contexts: readonly ExchangeContext[];
}

export interface HouseOptions {
  readonly slots: number;
  readonly ringBytes?: number;
  readonly inboxBytes?: number;
  readonly memoryBytes?: number;
  readonly batchRows?: number;
  readonly hashSeed?: bigint;
}

/** All participants on this thread, with real memories and kernels. */
export function house(plan: PhysicalPlan, options: HouseOptions): House {
  const inboxBytes = options.inboxBytes ?? 4 * 1024 * 1024;
  const budget: InboxBudget = { slotBytes: inboxBytes, callerBytes: inboxBytes, ...ringOption(options) };
  const inboxes = planInboxes(plan, options.slots, budget);
  const pages = Math.ceil((options.memoryBytes ?? 32 * 1024 * 1024) / 65_536);
  const memories = inboxes.inboxes.map((inbox) => {
    assert(inbox.from + inbox.bytes < pages * 65_536, 'the inbox fits');
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return slotMemory(memory, inbox.from + inbox.bytes, pages * 65_536);
  });
  for (const [i, inbox] of inboxes.inboxes.entries()) resetInbox(memories[i]!.buffer, inbox);
  let dictionaryId = 1;
  return {
    plan,
    contexts: memories.map((memory, participant) =>
      exchangeContext({
        plan,
        inboxes,
        participant,
        buffers: memories.map((m) => m.buffer),
        memory,
        kernels: loadKernels(memory),
        attempt: 1,
        hashSeed: options.hashSeed ?? 42n,
        batchRows: options.batchRows ?? 4096,
        nextDictionaryId: () => dictionaryId++,
        poison: true,
      }),
    ),
  };
}

function ringOption(options: HouseOptions): { ringBytes?: number } {
  return options.ringBytes === undefined ? {} : { ringBytes: options.ringBytes };
}
