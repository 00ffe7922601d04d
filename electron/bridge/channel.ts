/** The one channel between a page and the agent: requests one way, replies and events the other. */
export const CHANNEL = 'hearthlend:rpc';
