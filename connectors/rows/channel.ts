/**
 * The `channel` source: rows that the program pushes from the caller's thread. Options: `resource` (id of a `RowQueue`,
 * core/api/channel.ts), `schema` (Fields). A full channel is back pressure on who pushes. Not replayable. Unbounded until
 * `end` is called.
 */
import type { RowQueue } from '../../core/api/channel.ts';
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
      replayable: false,
      notes: ['pushed on the thread that called run', 'not replayable: rows taken before a failure do not come again'],
    };
  },

  enumerate: async () => oneSplit(null),

  reader(spec, request, context) {
    const fields = needFields(declaredFields(spec), spec);
    return rowReaderOf(spec, fields, request, context, () => {
      const queue = resourceOf(spec, context.resource) as RowQueue;
      let taken: readonly unknown[] = [];
      let next = 0;
      queue.onNews(() => context.wake());
      return {
        next() {
          if (next === taken.length) {
            // Taking frees room, so little is taken at once: what is in the channel is what `capacity` says.
            taken = queue.take(rowsAtOnce);
            next = 0;
          }
          if (next < taken.length) return taken[next++];
          return queue.ended ? ended : waiting;
        },
        close: () => queue.onNews(null),
      };
    });
  },
};

const rowsAtOnce = 256;
