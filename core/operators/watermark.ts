/**
 * Event time assigned in the middle of a plan: reads the time of every row and says how far time has come, a bounded
 * disorder behind the latest. On ended input nothing is late, so it says nothing before the end, unless timers wait for
 * it. Idleness needs a clock and is the runtime's business.
 */
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import type { PhysicalNode, WatermarkSpec } from '../plan/physical.ts';
import type { Batch } from '../record/batch.ts';
import { ticksPerMs } from '../record/types.ts';
import { type Operator, type OperatorContext, type Output, Progress, watermarkMin } from './operator.ts';
import { positionOf } from './source.ts';

type WatermarkNode = Extract<PhysicalNode, { kind: 'watermark' }>;

export function watermarkOperator(node: WatermarkNode, context: OperatorContext): Operator {
  return new AssignWatermarks(node.watermark, node.always === true, context);
}

class AssignWatermarks implements Operator {
  readonly #spec: WatermarkSpec;
  readonly #always: boolean;
  readonly #context: OperatorContext;
  readonly #ticks: bigint;
  readonly #timeMs: { get(): number; set(value: number): void };
  /** How far it had come when it was restored is said once more: what follows may have been interrupted. */
  #toldAgain: boolean;

  constructor(spec: WatermarkSpec, always: boolean, context: OperatorContext) {
    this.#always = always;
    const column = context.inputs[0]?.[spec.column];
    assert(column?.type.kind === 'TIMESTAMP', 'event time is a TIMESTAMP');
    this.#spec = spec;
    this.#context = context;
    this.#ticks = BigInt(ticksPerMs(column.type.precision));
    this.#timeMs = context.state.value('watermark', watermarkMin, Math.min);
    this.#toldAgain = this.#timeMs.get() === watermarkMin;
  }

  onBatch(batch: Batch, _port: number, out: Output): Progress {
    if (batch.size === 0) return Progress.done;
    const latestMs = this.#latestMs(batch);
    const progress = out.emit(batch);
    // Rows at the latest time less the disorder may still come: time has passed what lies before it.
    const timeMs = latestMs - this.#spec.outOfOrdernessMs - 1;
    if ((!this.#context.bounded || this.#always) && timeMs > this.#timeMs.get()) {
      this.#timeMs.set(timeMs);
      out.watermark?.(timeMs);
    }
    return progress;
  }

  flush(out: Output): Progress {
    if (!this.#toldAgain) out.watermark?.(this.#timeMs.get());
    this.#toldAgain = true;
    return Progress.done;
  }

  /** Downstream has consumed the batch that it had no room for. */
  resume(): Progress {
    return Progress.done;
  }

  #latestMs(batch: Batch): number {
    const { kernels } = this.#context;
    const column = batch.columns[this.#spec.column];
    assert(column, 'the column of event time');
    const nullAt = kernels.firstNullOf(column.validity, batch.selection, batch.size);
    if (nullAt >= 0) throw this.#noTime(batch, nullAt);
    const latest = kernels.greatestI64(column.values, batch.selection, batch.size);
    const ms = latest / this.#ticks;
    return Number(latest < 0n && ms * this.#ticks !== latest ? ms - 1n : ms);
  }

  #noTime(batch: Batch, row: number): MillraceError {
    const name = this.#context.inputs[0]?.[this.#spec.column]?.name;
    return new MillraceError(
      'time/bad-event-time',
      `the event time of a row ('${name}') is NULL; filter such rows out before .eventTime`,
      { where: { operator: this.#context.name, ...positionOf(batch, row) } },
    );
  }
}
