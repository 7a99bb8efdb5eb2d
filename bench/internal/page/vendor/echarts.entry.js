// What the page needs of Apache ECharts. build.sh makes echarts.min.js of it, which sets the
// global echarts.
import {init, use} from 'echarts/core';
import {BarChart, HeatmapChart, LineChart, ScatterChart} from 'echarts/charts';
import {
	AriaComponent, GridComponent, MarkLineComponent, TooltipComponent,
	VisualMapContinuousComponent,
} from 'echarts/components';
// SVG: charts print and scale, and tests can look into them.
import {SVGRenderer} from 'echarts/renderers';

use([
	BarChart, HeatmapChart, LineChart, ScatterChart,
	AriaComponent, GridComponent, MarkLineComponent, TooltipComponent,
	VisualMapContinuousComponent,
	SVGRenderer,
]);

export {init};
