import { ClaimRequest, JOIN_PATHS } from '../../core/contract/joining.ts';
import { type ClaimsParts, takeClaim } from '../joining/claims.ts';
import { answerJson, readJson } from './answer.ts';
import { parse } from './joining.ts';
import { HTTPS_LIMITS } from './limits.ts';
import type { Route } from './server.ts';

/** Where a wallet's word about its worker is left: by the worker's machine, by its operator, or by the wallet's owner, should the machine be lost. */
export function claimsRoute(parts: ClaimsParts): Route {
  return {
    methods: ['POST'],
    path: JOIN_PATHS.claims,
    name: 'claims',
    rate: { atOnce: 60, perSecond: 5 },
    async answer(request, response) {
      const { claim } = parse(ClaimRequest, await readJson(request, HTTPS_LIMITS.joinBytes));
      answerJson(response, 200, await takeClaim(parts, claim));
    },
  };
}
