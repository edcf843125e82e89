/**
 * What a process function keeps, as plans carry it: plain JSON, by name, with a time to live where one was asked for.
 * Knows neither how state lies in pages nor what a function does with it.
 */
import type { DataType, Fields } from '../record/types.ts';

/** After so long without a write a value is gone; by the rows' time or by the clock. null: it stays. */
export interface TimeToLive {
  readonly ms: number;
  /** `null`: by event time where the rows have it, else by processing time. */
  readonly time: 'event' | 'processing' | null;
}

interface StateHead {
  /** Unique within the function. */
  readonly name: string;
  readonly ttl: TimeToLive | null;
}

export type StateSpec =
  | (StateHead & { readonly kind: 'value'; readonly type: DataType; readonly nullable: boolean })
  | (StateHead & { readonly kind: 'list'; readonly type: DataType; readonly nullable: boolean })
  | (StateHead & {
      readonly kind: 'map';
      readonly key: DataType;
      readonly type: DataType;
      readonly nullable: boolean;
    })
  /** Operator state, of a subtask: what a restore does with the lists of all. */
  | (StateHead & { readonly kind: 'split' | 'union'; readonly type: DataType; readonly nullable: boolean })
  /** One value, folded with each that is added by the function `reduce`. */
  | (StateHead & {
      readonly kind: 'reducing';
      readonly type: DataType;
      readonly nullable: boolean;
      readonly reduce: string;
    })
  /** Functions `init` makes an accumulator, `add` changes it, `finish` answers from it. */
  | (StateHead & {
      readonly kind: 'aggregating';
      readonly accumulator: Fields;
      readonly init: string;
      readonly add: string;
      readonly finish: string;
    });
export type StateKind = StateSpec['kind'];
