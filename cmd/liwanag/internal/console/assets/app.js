// What pages do in the browser. Without this file they still work: forms post,
// links link, and one reloads to see what changed.
import { startCharts } from "./charts.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startTimes } from "./times.js";
import { startSelect } from "./select.js";
import { startSmall } from "./small.js";
import { startUploads } from "./uploads.js";

startSmall();
startSelect();
startTimes();
startKeys();
startCharts();
startUploads();
startLive();
