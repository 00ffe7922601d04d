import { z } from 'zod';

/**
 * How a page gets in over WebSocket, before any RpcRequest. The agent opens it at `http://127.0.0.1:<port>/#code=<single-use code>`; its first
 * message on `/rpc` is AuthenticateRequest, the answer AuthenticateReply. A refusal is followed by the server closing the connection.
 * The token comes with every acceptance, is kept for the browser tab's session only, and lets the page reconnect.
 */
export const AuthenticateRequest = z.strictObject({
  authenticate: z.union([z.strictObject({ code: z.string().min(1).max(256) }), z.strictObject({ token: z.string().min(1).max(256) })]),
});
export type AuthenticateRequest = z.infer<typeof AuthenticateRequest>;

export const AuthenticateReply = z.discriminatedUnion('authenticated', [
  z.strictObject({ authenticated: z.literal(true), token: z.string().min(1).max(256) }),
  z.strictObject({
    authenticated: z.literal(false),
    error: z.strictObject({ code: z.string().max(64), params: z.record(z.string(), z.union([z.string(), z.number()])) }),
  }),
]);
export type AuthenticateReply = z.infer<typeof AuthenticateReply>;
