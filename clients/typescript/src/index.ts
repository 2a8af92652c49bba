export { Rapport, type Sent, type Settings } from "./client.js";
export { Answer, type Event } from "./stream.js";
export { APIError, Disconnected, type Problem } from "./again.js";
export type * from "./api.js";
