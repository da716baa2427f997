export { createLog, type Fields, type Log, type LogLevel, silentLog } from './log.ts';
