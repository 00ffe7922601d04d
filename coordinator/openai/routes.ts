import type { Route } from '../https/server.ts';
import type { RequestHandler } from './handler.ts';

/** Of one address: programs ask in bursts, and what is too much is refused by the handler in words that its clients know. */
const OFTEN = { atOnce: 1000, perSecond: 200 };

/** OpenAI's interface as routes of a coordinator's HTTPS. */
export function requestRoutes(handler: RequestHandler): Route[] {
  const route = (path: string, method: 'GET' | 'POST'): Route => ({
    methods: [method],
    path,
    name: 'openai',
    rate: OFTEN,
    answer(request, response) {
      handler.handle(request, response);
    },
  });
  return [
    route('/v1/models', 'GET'),
    route('/v1/models/', 'GET'),
    route('/v1/chat/completions', 'POST'),
    route('/v1/completions', 'POST'),
    route('/v1/embeddings', 'POST'),
  ];
}
