/**
 * The `channel` source: rows that the program pushes from the caller's thread. Options: `resource` (id of a
 * `BoundedQueue`, core/base/queue.ts, of rows), `schema` (Fields). A full queue is back pressure: `push` waits, `tryPush`
 * answers false. Not replayable. Unbounded until `end` is called.
 */
import type { BoundedQueue } from '../../core/base/queue.ts';
import type { SourceConnector } from '../../core/ports/connector.ts';
import { declaredFields } from './fields.ts';
import { ended, needFields, oneSplit, resourceOf, rowReaderOf, waiting } from './row-source.ts';

export const channelSource: SourceConnector = {
  kind: 'channel',

  async describe(spec) {
    return {
      fields: needFields(declaredFields(spec), spec),
      bounded: false,
      estimatedRows: null,
      place: 'caller',
      notes: ['pushed on the thread that called run', 'not replayable: rows taken before a failure do not come again'],
    };
  },

  enumerate: async () => oneSplit(null),

  reader(spec, request, context) {
    const fields = needFields(declaredFields(spec), spec);
    return rowReaderOf(spec, fields, request, context, () => {
      const queue = resourceOf(spec, context.resource) as BoundedQueue<unknown>;
      let asked = false;
      const wake = (): void => {
        asked = false;
        context.wake();
      };
      return {
        next() {
          if (queue.size > 0) return queue.shift();
          if (queue.drained) return queue.shift() ?? ended;
          if (!asked) {
            asked = true;
            queue.whenItems(wake);
          }
          return waiting;
        },
        close() {},
      };
    });
  },
};
