/** The `jsonl` sink: a JSON object a line. Its options are those of all text files (text/sink.ts). */
import type { SinkConnector } from '../../core/ports/connector.ts';
import { textSink } from '../text/sink.ts';
import { rowEncoder } from './encode.ts';

export const jsonlSink: SinkConnector = textSink({
  kind: 'jsonl',
  extensions: ['.jsonl', '.ndjson'],
  encoder: (_spec, fields, context, changelog) => rowEncoder(fields, context.memory, changelog),
});
