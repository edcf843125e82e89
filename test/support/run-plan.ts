/**
 * Runs a random logical plan (random-plan.ts) through the engine: its sources become collections, its ends handles. The
 * answer is what the handles received, folded where it is a changelog, as leaf values that `rowsDifference` compares.
 */

import { handleResource } from '../../connectors/rows/callback.ts';
// Loaders of TypeScript may stumble over modules that are first imported twice at once.
import '../../connectors/rows/collection.ts';
import { boundedQueue } from '../../core/base/queue.ts';
import type { Plan } from '../../core/plan/nodes.ts';
import type { Json } from '../../core/ports/connector.ts';
import type { Fields } from '../../core/record/types.ts';
import { type LocalOptions, type LocalRun, runLocal } from '../../engine/local.ts';
import { checkOptions, type LayoutOptions } from '../../engine/options.ts';
import { RunningJob, type Snapshot, type Submission } from '../../engine/running-job.ts';
import type { RandomJob } from './random-plan.ts';
import { type Row, rowObject, rowText, rowValues } from './reference.ts';

/** The job with times that JavaScript's Date can carry: whole milliseconds. */
export function inMilliseconds(job: RandomJob): RandomJob {
  const rows = new Map(
    [...job.rows].map(([id, all]) => {
      const { fields } = job.sources.get(id)!;
      const coarse = (row: Row): Row => rowValues(rowObject(row, fields), fields);
      return [id, all.map(coarse)] as const;
    }),
  );
  return { ...job, rows };
}

/** What an end has received, in order. */
export interface Received {
  readonly items: unknown[];
}
export type ReceivedByOutput = ReadonlyMap<string, Received>;

export interface PlanRun {
  readonly received: ReceivedByOutput;
  readonly run: LocalRun;
}

export async function runPlanLocally(
  job: RandomJob,
  options: LayoutOptions,
  local: LocalOptions,
  restore: Snapshot | null = null,
): Promise<PlanRun> {
  const { submission, received, receiving } = submissionOf(job, options, restore);
  const run = await runLocal(submission, local);
  await receiving();
  return { received, run };
}

/** With threads. */
export async function runPlan(job: RandomJob, options: LayoutOptions): Promise<ReceivedByOutput> {
  const { submission, received, receiving } = submissionOf(job, options, null);
  const running = new RunningJob(submission);
  if (options.mode === 'stream') await drainWhenRead(running);
  await running.result();
  await receiving();
  return received;
}

/** Stops an unbounded job when its sources have been read: a limit may end them before all their rows were taken. */
async function drainWhenRead(running: RunningJob): Promise<void> {
  let over = false;
  running
    .result()
    .catch(() => {})
    .finally(() => {
      over = true;
    });
  const moved = (): string =>
    JSON.stringify(running.numbers().tasks.map((task) => [task.rowsRead, task.rowsReceived, task.rowsWritten]));
  let before = '';
  for (let still = 0; !over && still < 5; still = running.plan && moved() === before ? still + 1 : 0) {
    before = moved();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (!over) running.stop(true);
}

function submissionOf(
  job: RandomJob,
  options: LayoutOptions,
  restore: Snapshot | null,
): { submission: Submission; received: ReceivedByOutput; receiving: () => Promise<void> } {
  const resources = new Map<string, unknown>();
  const ends = new Map(job.plan.outputs.map(({ name }) => [name, boundedQueue<unknown>(64)] as const));
  const received = new Map<string, Received>();
  const readers: Promise<void>[] = [];
  for (const [name, queue] of ends) {
    resources.set(handleResource(name), queue);
    const items: unknown[] = [];
    received.set(name, { items });
    readers.push(
      (async () => {
        try {
          for await (const item of queue) items.push(item);
        } catch {
          // The job's error is told by its result.
        }
      })(),
    );
  }
  const plan = withEnds(job, resources);
  const submission = {
    plan,
    options: checkOptions(options),
    module: null,
    functions: new Map(),
    resources,
    ends,
    restore,
  };
  return { submission, received, receiving: async () => void (await Promise.all(readers)) };
}

function withEnds(job: RandomJob, resources: Map<string, unknown>): Plan {
  const outputs = new Map(job.plan.outputs.map(({ name, node }) => [node, name] as const));
  const nodes = job.plan.nodes.map((node) => {
    if (node.kind === 'source') {
      const { fields } = job.sources.get(node.id)!;
      const id = `rows:${node.id}`;
      const schema = node.schema ?? fields;
      resources.set(
        id,
        job.rows.get(node.id)!.map((row) => rowObject(row, fields)),
      );
      const options = { resource: id, schema: schema as unknown as Json };
      return { ...node, schema, connector: { kind: 'collection', label: node.connector.label, options } };
    }
    if (node.kind === 'sink') {
      const output = outputs.get(node.id)!;
      return { ...node, connector: { kind: 'handle', label: output, options: { output, changes: true } } };
    }
    return node;
  });
  return { ...job.plan, nodes };
}

interface ReceivedChange {
  readonly kind: string;
  readonly row: Record<string, unknown>;
}

/** The rows that stand in the end: +I and +U add, −U and −D take away. Errors: a change that takes what is not there. */
export function folded(items: readonly unknown[], fields: Fields): Row[] {
  const standing = new Map<string, { row: Row; count: number }>();
  for (const item of items) {
    const { kind, row: object } = item as ReceivedChange;
    const row = rowValues(object, fields);
    const text = rowText(row);
    const entry = standing.get(text) ?? { row, count: 0 };
    entry.count += kind === '+I' || kind === '+U' ? 1 : -1;
    standing.set(text, entry);
  }
  const rows: Row[] = [];
  for (const [text, { row, count }] of standing) {
    if (count < 0) throw new Error(`taken away ${-count} times more than it came: ${text}`);
    for (let i = 0; i < count; i++) rows.push(row);
  }
  return rows;
}

export const inOrder = (items: readonly unknown[], fields: Fields): Row[] =>
  items.map((item) => rowValues((item as ReceivedChange).row, fields));
