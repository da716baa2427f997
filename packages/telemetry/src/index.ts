export { createLog, type Fields, type Log, type LogLevel, silentLog } from './log.ts';
export { jsonPage, metricsPage, type PageServer, servePages, textPage } from './pages.ts';
