/** What a running job's counters say, summed over its tasks. Read from shared memory; asks nobody. */
import type { CheckpointMetrics, TaskMetrics } from '../core/api/run.ts';
import { watermarkMax, watermarkMin } from '../core/operators/operator.ts';
import type { Chain, PhysicalPlan } from '../core/plan/physical.ts';
import { Counter, taskBlock } from '../workers/counters.ts';

export interface JobNumbers {
  readonly rowsIn: number;
  readonly rowsOut: number;
  readonly lateRows: number;
  readonly skippedRows: number;
  readonly bytesExchanged: number;
  readonly bytesWritten: number;
  /** The least event time of all tasks that have one; null before the first watermark. */
  readonly watermarkMs: number | null;
  readonly estimatedRows: number | null;
  readonly inboxBytes: number;
  readonly tasks: readonly TaskMetrics[];
}

interface Source {
  readonly plan: PhysicalPlan;
  readonly counters: SharedArrayBuffer;
  readonly estimatedRows: number | null;
  readonly inboxBytes: number;
}

export function readNumbers(from: Source | null, parallelism: number): JobNumbers {
  const tasks = from ? from.plan.chains.flatMap((chain) => ofChain(from, chain, parallelism)) : [];
  const sum = (of: (task: TaskMetrics) => number): number => tasks.reduce((total, task) => total + of(task), 0);
  const times = tasks.map((task) => task.watermarkMs).filter((ms) => ms !== watermarkMin && ms !== watermarkMax);
  return {
    rowsIn: sum((task) => task.rowsRead),
    rowsOut: sum((task) => task.rowsWritten),
    lateRows: sum((task) => task.lateRows),
    skippedRows: sum((task) => task.skippedRows),
    bytesExchanged: sum((task) => task.bytesSent),
    bytesWritten: sum((task) => task.bytesWritten),
    watermarkMs: times.length === 0 ? null : Math.min(...times),
    estimatedRows: from?.estimatedRows ?? null,
    inboxBytes: from?.inboxBytes ?? 0,
    tasks,
  };
}

function ofChain(from: Source, chain: Chain, parallelism: number): TaskMetrics[] {
  const participants =
    chain.place === 'caller' ? [parallelism] : Array.from({ length: chain.parallelism }, (_, i) => i);
  return participants.map((participant) => {
    const block = taskBlock(from.counters, from.plan.chains.length, participant, chain.id);
    return {
      chain: chain.id,
      name: chain.operators.map((operator) => operator.name).join(' → '),
      slot: participant === parallelism ? 'caller' : participant,
      rowsRead: block[Counter.rowsRead]!,
      rowsReceived: block[Counter.rowsReceived]!,
      rowsSent: block[Counter.rowsSent]!,
      rowsWritten: block[Counter.rowsWritten]!,
      bytesSent: block[Counter.bytesSent]!,
      bytesWritten: block[Counter.bytesWritten]!,
      busyMs: block[Counter.busyMs]!,
      blockedMs: block[Counter.blockedMs]!,
      starvedMs: block[Counter.starvedMs]!,
      lateRows: block[Counter.lateRows]!,
      skippedRows: block[Counter.rowsSkipped]!,
      windowsClosed: block[Counter.windowsClosed]!,
      stateBytes: block[Counter.stateBytes]!,
      watermarkMs: block[Counter.watermarkMs]!,
    };
  });
}

/** The counters in Prometheus' text format. */
export function prometheusText(job: string, numbers: JobNumbers, checkpoints: CheckpointMetrics | null = null): string {
  const lines: string[] = [];
  const label = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
  const metric = (name: string, help: string, type: string, value: (task: TaskMetrics) => number): void => {
    lines.push(`# HELP millrace_${name} ${help}`, `# TYPE millrace_${name} ${type}`);
    for (const task of numbers.tasks) {
      lines.push(
        `millrace_${name}{job="${label(job)}",chain="${task.chain}",operator="${label(task.name)}",slot="${task.slot}"} ${value(task)}`,
      );
    }
  };
  metric('rows_read_total', 'Rows read from sources.', 'counter', (task) => task.rowsRead);
  metric('rows_received_total', 'Rows received over edges.', 'counter', (task) => task.rowsReceived);
  metric('rows_sent_total', 'Rows sent over edges.', 'counter', (task) => task.rowsSent);
  metric('rows_written_total', 'Rows handed to sinks.', 'counter', (task) => task.rowsWritten);
  metric('exchange_bytes_total', 'Bytes sent over edges.', 'counter', (task) => task.bytesSent);
  metric('late_rows_total', 'Rows that came after their window closed.', 'counter', (task) => task.lateRows);
  metric(
    'skipped_rows_total',
    'Records that could not be read or worked on and did not fail the job.',
    'counter',
    (task) => task.skippedRows,
  );
  metric('windows_closed_total', 'Windows and sessions that closed.', 'counter', (task) => task.windowsClosed);
  metric('busy_seconds_total', 'Time spent in steps.', 'counter', (task) => task.busyMs / 1000);
  metric(
    'blocked_seconds_total',
    'Time spent waiting for room downstream.',
    'counter',
    (task) => task.blockedMs / 1000,
  );
  metric('starved_seconds_total', 'Time spent waiting for input.', 'counter', (task) => task.starvedMs / 1000);
  metric('state_bytes', 'Bytes of keyed state of the slot.', 'gauge', (task) => task.stateBytes);
  if (checkpoints) {
    const single = (name: string, help: string, type: string, value: number): void => {
      lines.push(`# HELP millrace_${name} ${help}`, `# TYPE millrace_${name} ${type}`);
      lines.push(`millrace_${name}{job="${label(job)}"} ${value}`);
    };
    const { lastId, lastDurationMs, lastBytes, completed, failed, restoredFromFallback, restarts } = checkpoints;
    single('checkpoint_last_id', 'The newest checkpoint; 0: none yet.', 'gauge', lastId ?? 0);
    single('checkpoint_last_duration_seconds', 'How long it took.', 'gauge', lastDurationMs / 1000);
    single('checkpoint_last_bytes', 'Bytes written for it.', 'gauge', lastBytes);
    single('checkpoints_completed_total', 'Checkpoints that are durable.', 'counter', completed);
    single('checkpoints_failed_total', 'Checkpoints that were given up.', 'counter', failed);
    single(
      'restored_from_fallback',
      'Newer checkpoints that were damaged and passed over.',
      'gauge',
      restoredFromFallback,
    );
    single('restarts_total', 'Restarts after a failure.', 'counter', restarts);
  }
  return `${lines.join('\n')}\n`;
}
