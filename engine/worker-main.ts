/** A slot's thread: what Piscina runs. Its loop outlives jobs; deployments arrive over the port it is given. */
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from './clock.ts';
import type { FromParticipant, ToParticipant } from './messages.ts';
import { Participant } from './participant.ts';

export default function slotThread(port: MessagePort): Promise<void> {
  let participant: Participant | null = null;
  const post = (answer: FromParticipant): void => port.postMessage(answer);
  port.on('message', (message: ToParticipant) => {
    if (message.kind === 'deploy') {
      const { resources } = message.deployment;
      participant = Participant.create(
        message.deployment,
        { clock: systemClock, functions: null, resource: (id) => resources.get(id) },
        post,
      );
      void participant?.deploy();
      return;
    }
    participant?.receive(message);
    if (message.kind === 'cancel') participant = null;
  });
  // The port keeps the thread alive, and this promise the Piscina task: for ever, until the pool ends the thread.
  return new Promise(() => {});
}
