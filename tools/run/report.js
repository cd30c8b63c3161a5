// SPDX-License-Identifier: GPL-2.0
// Sort, search and filter the tables of the report. Texts are only read, or set by textContent.
(function () {
	'use strict';

	const PAGE = 200;	// rows that are shown before "Show all"
	const narrow = window.matchMedia('(max-width: 640px)');
	const query = document.getElementById('query');
	const status = document.getElementById('status');
	const clear = document.getElementById('clear');
	const number = new Intl.NumberFormat('en');
	const chosen = { words: [], hidden: new Set(), bin: null };

	function make(tag, text, className) {
		const element = document.createElement(tag);

		if (text)
			element.textContent = text;
		if (className)
			element.className = className;
		if (tag === 'button')
			element.type = 'button';
		return element;
	}

	// The value that a cell is sorted by: a number if all of its column are numbers.
	function valueOf(cell) {
		return cell.dataset.v === undefined ? cell.textContent : cell.dataset.v;
	}

	function comparer(column, numeric, direction) {
		const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

		return function (a, b) {
			const one = valueOf(a.row.cells[column]), other = valueOf(b.row.cells[column]);
			const order = numeric ? (Number(one) || 0) - (Number(other) || 0) :
				collator.compare(one, other);

			// numbers that are not known, such as a time, are last in both directions
			if (numeric && (one === '') !== (other === ''))
				return one === '' ? 1 : -1;
			return direction * order || a.place - b.place;
		};
	}

	class Kind {
		constructor(section) {
			const table = section.querySelector('table');

			this.section = section;
			this.table = table;
			this.heads = Array.from(table.tHead.rows[0].cells);
			this.rows = Array.from(table.tBodies[0].rows, (row, place) => ({ row, place, text: null }));
			this.limit = PAGE;
			this.more = make('div', '', 'more');
			this.said = make('span');
			this.button = make('button', '', 'small');
			this.button.addEventListener('click', () => { this.limit = Infinity; this.show(); });
			this.more.append(this.said, this.button);
			table.parentNode.append(this.more);
			this.addSorting();
			// a style sheet that shows rows as cards takes these away
			table.setAttribute('role', 'table');
			for (const part of [table.tHead, table.tBodies[0]])
				part.setAttribute('role', 'rowgroup');
			table.tHead.rows[0].setAttribute('role', 'row');
			this.heads.forEach((head) => head.setAttribute('role', 'columnheader'));
		}

		addSorting() {
			const label = make('label', 'Sort by ', 'sort'), select = make('select');

			select.append(make('option', 'severity, then time'));
			this.heads.forEach((head, column) => {
				const button = make('button', head.textContent);

				for (const [words, direction] of [['upwards', 1], ['downwards', -1]]) {
					const option = make('option', head.textContent + ', ' + words);

					option.value = column + ' ' + direction;
					select.append(option);
				}
				head.textContent = '';
				head.append(button);
				head.setAttribute('aria-sort', 'none');
				button.addEventListener('click', () => {
					this.sort(column, head.getAttribute('aria-sort') === 'ascending' ? -1 : 1);
				});
			});
			select.addEventListener('change', () => {
				const [column, direction] = select.value.split(' ').map(Number);

				this.sort(select.selectedIndex ? column : -1, direction);
			});
			label.append(select);
			this.table.parentNode.before(label);
			this.select = select;
		}

		// @column: -1: as the rows were
		sort(column, direction) {
			const body = this.table.tBodies[0];

			this.heads.forEach((head, i) => {
				head.setAttribute('aria-sort', i !== column ? 'none' :
					direction > 0 ? 'ascending' : 'descending');
			});
			this.select.selectedIndex = column < 0 ? 0 : 1 + 2 * column + (direction < 0);
			this.rows.sort(column < 0 ? (a, b) => a.place - b.place :
				comparer(column, 'n' in this.heads[column].dataset, direction));
			body.append(...this.rows.map((entry) => entry.row));
			this.show();
		}

		matches(entry) {
			const data = entry.row.dataset;

			if (chosen.hidden.has(data.s) || (chosen.bin !== null && data.b !== chosen.bin))
				return false;
			if (!chosen.words.length)
				return true;
			if (entry.text === null)
				entry.text = entry.row.textContent.toLowerCase();
			return chosen.words.every((word) => entry.text.includes(word));
		}

		// Roles and labels, for rows that a narrow screen shows as cards.
		label(row) {
			if (row.dataset.done)
				return;
			row.dataset.done = '1';
			row.setAttribute('role', 'row');
			Array.from(row.cells).forEach((cell, i) => {
				cell.setAttribute('role', 'cell');
				cell.dataset.label = this.heads[i].textContent;
			});
		}

		// Return the number of rows that match.
		show() {
			let count = 0;

			for (const entry of this.rows) {
				const match = this.matches(entry);

				count += match;
				entry.row.hidden = !match || count > this.limit;
				if (!entry.row.hidden && narrow.matches)
					this.label(entry.row);
			}
			this.section.hidden = !count;
			this.more.hidden = count <= this.limit;
			this.said.textContent = 'The first ' + number.format(this.limit) + ' of ' +
				number.format(count) + ' events.';
			this.button.textContent = 'Show all ' + number.format(count);
			return count;
		}
	}

	const kinds = Array.from(document.querySelectorAll('.kind'), (section) => new Kind(section));
	const total = kinds.reduce((sum, kind) => sum + kind.rows.length, 0);
	const empty = make('p', 'No event matches the filter.', 'empty');

	function update() {
		const count = kinds.reduce((sum, kind) => sum + kind.show(), 0);

		empty.hidden = count > 0 || !total;
		clear.hidden = count === total;
		status.textContent = count === total ? number.format(total) + (total === 1 ? ' event' : ' events') :
			number.format(count) + ' of ' + number.format(total) + ' events';
	}

	function addTiles() {
		for (const tile of document.querySelectorAll('.tile:not(.none)')) {
			const button = make('button', '', tile.className);

			button.append(...tile.childNodes);
			button.dataset.s = tile.dataset.s;
			button.setAttribute('aria-pressed', 'true');
			button.addEventListener('click', () => {
				const shown = button.getAttribute('aria-pressed') === 'true';

				button.setAttribute('aria-pressed', String(!shown));
				chosen.hidden[shown ? 'add' : 'delete'](button.dataset.s);
				update();
			});
			tile.replaceWith(button);
		}
	}

	// A click on a bar of the chart, or Enter at it, shows only the events of that time.
	function addChart() {
		const svg = document.querySelector('.chart svg');
		const bins = svg ? Array.from(svg.querySelectorAll('.bin')) : [];
		const caption = document.getElementById('span');
		let at = -1;

		if (!bins.length)
			return;
		svg.setAttribute('tabindex', '0');
		svg.setAttribute('aria-describedby', 'span');
		function move(to) {
			at = Math.max(0, Math.min(bins.length - 1, to));
			bins.forEach((bin, i) => bin.classList.toggle('at', i === at));
			caption.textContent = bins[at].querySelector('title').textContent;
		}
		function choose(i) {
			chosen.bin = chosen.bin === bins[i].dataset.b ? null : bins[i].dataset.b;
			bins.forEach((bin) => bin.classList.toggle('on', bin.dataset.b === chosen.bin));
			update();
		}
		bins.forEach((bin, i) => {
			bin.addEventListener('click', () => { move(i); choose(i); });
			bin.addEventListener('pointerenter', () => move(i));
		});
		svg.addEventListener('keydown', (event) => {
			const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

			if (event.key in steps)
				move(at + steps[event.key]);
			else if ((event.key === 'Enter' || event.key === ' ') && at >= 0)
				choose(at);
			else
				return;
			event.preventDefault();
		});
	}

	document.documentElement.classList.add('js');
	document.querySelector('.tools').hidden = false;
	document.querySelector('main').append(empty);
	addTiles();
	addChart();
	query.addEventListener('input', () => {
		chosen.words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
		update();
	});
	clear.addEventListener('click', () => {
		query.value = '';
		chosen.words = [];
		chosen.hidden.clear();
		chosen.bin = null;
		for (const button of document.querySelectorAll('button.tile'))
			button.setAttribute('aria-pressed', 'true');
		for (const bin of document.querySelectorAll('.bin.on'))
			bin.classList.remove('on');
		update();
		query.focus();
	});
	narrow.addEventListener('change', update);
	update();
}());
