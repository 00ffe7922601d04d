import { answerJson } from './answer.ts';
import type { Route } from './server.ts';

/** Whether this coordinator can answer workers just now: for a load balancer, or whoever watches it. It tells nothing else. */
export function healthRoute(isConnected: () => boolean): Route {
  return {
    methods: ['GET', 'HEAD'],
    path: '/healthz',
    name: 'health',
    rate: { atOnce: 60, perSecond: 5 },
    answer(_request, response) {
      const connected = isConnected();
      answerJson(response, connected ? 200 : 503, { status: connected ? 'ok' : 'nats-lost' });
    },
  };
}
