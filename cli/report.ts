/** Numbers of a job as people read them. */

import type { CheckpointMetrics, JobResult } from '../core/api/run.ts';
import { grouped } from '../core/base/describe.ts';
import type { JobNumbers } from '../engine/numbers.ts';

export function progressLine(numbers: JobNumbers, elapsedMs: number): string {
  const { rowsIn, estimatedRows, watermarkMs, lateRows, skippedRows } = numbers;
  const parts = [`${grouped(rowsIn)} rows`, `${rate(rowsIn, elapsedMs)} rows/s`];
  if (estimatedRows) parts.push(`${Math.min(100, Math.floor((100 * rowsIn) / estimatedRows))} %`);
  if (watermarkMs !== null) parts.push(`event time ${new Date(watermarkMs).toISOString()}`);
  if (lateRows > 0) parts.push(`${grouped(lateRows)} late`);
  if (skippedRows > 0) parts.push(`${grouped(skippedRows)} left out`);
  return parts.join('   ');
}

export function summary(result: JobResult, numbers: JobNumbers, checkpoints: CheckpointMetrics | null = null): string {
  const lines = [
    `${grouped(result.rowsIn)} rows in, ${grouped(result.rowsOut)} rows out in ${seconds(result.elapsedMs)}: ${rate(result.rowsIn, result.elapsedMs)} rows/s`,
  ];
  if (result.lateRows > 0) lines.push(`${grouped(result.lateRows)} rows came too late for their window`);
  if (result.skippedRows > 0) lines.push(`${grouped(result.skippedRows)} records could not be read or worked on`);
  if (checkpoints) lines.push(checkpointLine(checkpoints));
  const slots = new Set(numbers.tasks.map((task) => task.slot));
  for (const slot of slots) {
    const tasks = numbers.tasks.filter((task) => task.slot === slot);
    const sum = (of: (task: (typeof tasks)[number]) => number): number =>
      tasks.reduce((all, task) => all + of(task), 0);
    const cpuMs =
      slot === 'caller' ? result.callerCpuMs : (result.slots.find((report) => report.slot === slot)?.cpuMs ?? 0);
    lines.push(
      `  ${slot === 'caller' ? 'caller' : `slot ${slot}`}: ${grouped(sum((task) => task.rowsRead + task.rowsReceived))} rows in, ` +
        `${bytes(sum((task) => task.bytesSent))} sent, ${seconds(cpuMs)} CPU`,
    );
  }
  if (!slots.has('caller')) lines.push(`  caller: ${seconds(result.callerCpuMs)} CPU`);
  return `${lines.join('\n')}\n`;
}

function checkpointLine(checkpoints: CheckpointMetrics): string {
  const { completed, failed, lastId, lastDurationMs, lastBytes, restoredFrom, restoredFromFallback, restarts } =
    checkpoints;
  const last =
    lastId === null ? '' : `, the last one, ${lastId}, in ${seconds(lastDurationMs)} with ${bytes(lastBytes)}`;
  const parts = [`${grouped(completed)} checkpoint${completed === 1 ? '' : 's'}${last}`];
  if (failed > 0) parts.push(`${grouped(failed)} given up`);
  if (restoredFrom !== null) parts.push(`went on from ${restoredFrom}`);
  if (restoredFromFallback > 0) parts.push(`${restoredFromFallback} damaged and passed over`);
  if (restarts > 0) parts.push(`restarted ${restarts === 1 ? 'once' : `${restarts} times`}`);
  return parts.join('; ');
}

export function rate(rows: number, ms: number): string {
  const perSecond = ms > 0 ? (rows / ms) * 1000 : 0;
  if (perSecond >= 1e6) return `${(perSecond / 1e6).toFixed(1)} M`;
  return perSecond >= 1e3 ? `${(perSecond / 1e3).toFixed(1)} K` : perSecond.toFixed(0);
}

export const seconds = (ms: number): string => (ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`);

export function bytes(of: number): string {
  if (of >= 2 ** 30) return `${(of / 2 ** 30).toFixed(1)} GB`;
  return of >= 2 ** 20 ? `${(of / 2 ** 20).toFixed(1)} MB` : `${(of / 1024).toFixed(0)} KB`;
}
