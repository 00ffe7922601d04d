/** Under which coordinators are found on the local network, by DNS-SD over mDNS. Source: RFC 6763, 4.1. */
export const SERVICE_TYPE = '_hearthlend._tcp.local';
