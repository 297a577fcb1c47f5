/* Data of a case and pictures of its slices: no state of the page in here.

   Arrays are (z, y, x). A plane is a slice across one axis: 0 (z, axial), 1 (y, coronal),
   2 (x, sagittal). Its rows and columns are the other two axes; z is drawn upwards. */
"use strict";

const segbenchPlanes = (() => {
  const AXES = [
    { name: "axial", letter: "z", row: 1, column: 2, rowUp: false },
    { name: "coronal", letter: "y", row: 0, column: 2, rowUp: true },
    { name: "sagittal", letter: "x", row: 0, column: 1, rowUp: true },
  ];
  // Okabe and Ito, without black
  const PALETTE = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178],
    [213, 94, 0], [204, 121, 167]];
  const ERRORS = { right: [0, 158, 115], tooMuch: [213, 94, 0], missed: [58, 138, 200] };

  const labelColour = (label) => PALETTE[(label - 1) % PALETTE.length];

  async function unpacked(stored) {
    const text = atob(stored.data);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    return stored.bytes === 1 ? new Uint8Array(buffer) : new Uint16Array(buffer);
  }

  const unpackedParts = (parts) => Promise.all(parts.map(unpacked));

  /* The label maps of one method: each step is stored as its change from the one before. */
  class LabelMaps {
    constructor(steps) {
      this.stored = steps.filter((step) => step.mask);
      this.known = new Map();
    }

    /* The parts of the label map after a step; that of the last kept one before it, or null. */
    async at(step) {
      const upTo = this.stored.filter((each) => each.step <= step);
      let parts = null;
      for (const each of upTo) {
        if (!this.known.has(each.step)) {
          const change = await unpackedParts(each.mask);
          if (parts) change.forEach((part, p) => part.forEach((value, i) => {
            if (parts[p][i]) part[i] = value ^ parts[p][i];
          }));
          this.known.set(each.step, change);
        }
        parts = this.known.get(each.step);
      }
      return parts;
    }
  }

  /* Where the stored arrays of a case are: a volume, or stacks of slices along each axis. */
  class Grid {
    constructor(data) {
      this.low = data.window.low;
      this.shape = data.window.shape;
      this.kept = data.kept;
      this.spacing = data.spacing;
    }

    /* The indices of the volume at which there is a slice across an axis. */
    indices(axis) {
      if (this.kept) return this.kept[axis];
      return Array.from({ length: this.shape[axis] }, (_, i) => i + this.low[axis]);
    }

    nearest(axis, index) {
      return this.indices(axis).reduce((best, each) =>
        (Math.abs(each - index) < Math.abs(best - index) ? each : best));
    }

    size(axis) {
      const { row, column } = AXES[axis];
      return [this.shape[row], this.shape[column]];
    }

    /* One slice as a flat array, row by row of the plane (not yet turned upwards). */
    slice(parts, axis, index) {
      const [rows, columns] = this.size(axis);
      const out = new parts[0].constructor(rows * columns);
      const [nz, ny, nx] = this.shape;
      const kept = this.kept && this.kept[axis].indexOf(index);
      const at = this.kept ? kept : index - this.low[axis];
      if (at < 0 || (!this.kept && at >= this.shape[axis])) return out;
      const source = this.kept ? parts[axis] : parts[0];
      const n = this.kept ? this.kept[axis].length : this.shape[axis];
      if (axis === 0) return source.slice(at * ny * nx, (at + 1) * ny * nx);
      for (let z = 0; z < nz; z += 1) {
        if (axis === 1) {
          const start = (z * n + at) * nx;
          out.set(source.subarray(start, start + nx), z * nx);
        } else {
          for (let y = 0; y < ny; y += 1) out[z * ny + y] = source[(z * ny + y) * n + at];
        }
      }
      return out;
    }
  }

  function mix(pixels, at, colour, share) {
    for (let c = 0; c < 3; c += 1) {
      pixels[at + c] = Math.round(pixels[at + c] * (1 - share) + colour[c] * share);
    }
  }

  /* The colour of a voxel's overlay, or null.
     mode: prediction, reference, error, none; labels: those that are shown. */
  function overlayColour(mode, predicted, expected, labels) {
    const found = labels.has(predicted) ? predicted : 0;
    const there = labels.has(expected) ? expected : 0;
    if (mode === "prediction") return found ? labelColour(found) : null;
    if (mode === "reference") return there ? labelColour(there) : null;
    if (mode !== "error" || (!found && !there)) return null;
    if (found === there) return ERRORS.right;
    return found ? ERRORS.tooMuch : ERRORS.missed;
  }

  /* A slice as pixels, one per voxel: grey values by window and level, the overlay mixed in. */
  function picture(view, axis, index) {
    const { grid, image, reference, prediction, mode, opacity, labels, low, high, filled } = view;
    const [rows, columns] = grid.size(axis);
    const { rowUp } = AXES[axis];
    const grey = image && grid.slice(image, axis, index);
    const expected = grid.slice(reference, axis, index);
    const found = prediction ? grid.slice(prediction, axis, index) : new Uint8Array(rows * columns);
    const pixels = new Uint8ClampedArray(4 * rows * columns);
    for (let row = 0; row < rows; row += 1) {
      const target = rowUp ? rows - 1 - row : row;
      for (let column = 0; column < columns; column += 1) {
        const from = row * columns + column;
        const at = 4 * (target * columns + column);
        const value = grey ? 255 * (grey[from] - low) / Math.max(high - low, 1) : 40;
        pixels[at] = value; pixels[at + 1] = value; pixels[at + 2] = value; pixels[at + 3] = 255;
        const colour = filled && overlayColour(mode, found[from], expected[from], labels);
        if (colour) mix(pixels, at, colour, opacity);
      }
    }
    return { pixels, rows, columns, expected, found };
  }

  /* The borders between voxels of different labels: [label, row, column, row, column] in corners
     of voxels. */
  function borders(flat, rows, columns, labels) {
    const lines = [];
    const at = (row, column) => {
      if (row < 0 || column < 0 || row >= rows || column >= columns) return 0;
      const label = flat[row * columns + column];
      return labels.has(label) ? label : 0;
    };
    for (let row = 0; row <= rows; row += 1) {
      for (let column = 0; column <= columns; column += 1) {
        const here = at(row, column);
        const above = at(row - 1, column);
        const left = at(row, column - 1);
        if (here !== above) lines.push([here || above, row, column, row, column + 1]);
        if (here !== left) lines.push([here || left, row, column, row + 1, column]);
      }
    }
    return lines;
  }

  /* Where voxels are on a canvas: scale in pixels per mm, offset in pixels. */
  class Placement {
    constructor(grid, axis, width, height, zoom, pan) {
      const { row, column, rowUp } = AXES[axis];
      [this.rows, this.columns] = grid.size(axis);
      this.rowUp = rowUp;
      this.rowLow = grid.low[row];
      this.columnLow = grid.low[column];
      const tall = this.rows * grid.spacing[row];
      const wide = this.columns * grid.spacing[column];
      const scale = zoom * Math.min(width / wide, height / tall);
      this.cellWidth = scale * grid.spacing[column];
      this.cellHeight = scale * grid.spacing[row];
      this.left = (width - wide * scale) / 2 + pan[0];
      this.top = (height - tall * scale) / 2 + pan[1];
    }

    /* The canvas position of a corner of voxels, by rows and columns of the window. */
    x(column) { return this.left + column * this.cellWidth; }

    y(row) {
      return this.top + (this.rowUp ? this.rows - row : row) * this.cellHeight;
    }

    /* The canvas position of the middle of a voxel, by indices of the volume. */
    middle(row, column) {
      return [this.x(column - this.columnLow + 0.5), this.y(row - this.rowLow + 0.5)];
    }

    /* The voxel at a canvas position: row and column of the volume, inside the window. */
    voxel(x, y) {
      const column = Math.floor((x - this.left) / this.cellWidth);
      const down = Math.floor((y - this.top) / this.cellHeight);
      const row = this.rowUp ? this.rows - 1 - down : down;
      const inside = (value, n) => Math.min(Math.max(value, 0), n - 1);
      return [this.rowLow + inside(row, this.rows), this.columnLow + inside(column, this.columns)];
    }
  }

  function paint(canvas, view, axis) {
    const { grid, at } = view;
    const index = at[axis];
    const context = canvas.getContext("2d");
    const place = new Placement(grid, axis, canvas.width, canvas.height, view.zoom, view.pan[axis]);
    const { pixels, rows, columns, expected, found } = picture(view, axis, index);
    const flat = document.createElement("canvas");
    flat.width = columns; flat.height = rows;
    flat.getContext("2d").putImageData(new ImageData(pixels, columns, rows), 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingEnabled = false;
    context.drawImage(flat, place.left, place.top, columns * place.cellWidth,
      rows * place.cellHeight);
    if (view.outlines) {
      strokeBorders(context, place, borders(expected, rows, columns, view.labels), () => "#fff", true);
      const colour = view.mode === "error" ? () => "rgb(240, 228, 66)" : (label) => `rgb(${labelColour(label)})`;
      strokeBorders(context, place, borders(found, rows, columns, view.labels), colour, false);
    }
    paintBoxes(context, place, view, axis);
    if (view.crosshair) paintCrosshair(context, place, view, axis);
    paintClicks(context, place, view, axis);
    return place;
  }

  /* The reference in dashes, the prediction in a line. */
  function strokeBorders(context, place, lines, colour, isReference) {
    context.save();
    context.lineWidth = isReference ? 1.5 : 2;
    context.setLineDash(isReference ? [4, 3] : []);
    const byLabel = new Map();
    lines.forEach((line) => {
      if (!byLabel.has(line[0])) byLabel.set(line[0], []);
      byLabel.get(line[0]).push(line);
    });
    byLabel.forEach((own, label) => {
      context.strokeStyle = colour(label);
      context.beginPath();
      own.forEach(([, rowA, columnA, rowB, columnB]) => {
        context.moveTo(place.x(columnA), place.y(rowA));
        context.lineTo(place.x(columnB), place.y(rowB));
      });
      context.stroke();
    });
    context.restore();
  }

  function paintBoxes(context, place, view, axis) {
    const { row, column } = AXES[axis];
    view.boxes.forEach((box) => {
      if (!view.labels.has(box.label)) return;
      if (view.at[axis] < box.low[axis] || view.at[axis] >= box.high[axis]) return;
      const x = place.x(box.low[column] - place.columnLow);
      const y = place.y(box.low[row] - place.rowLow);
      context.save();
      context.strokeStyle = `rgb(${labelColour(box.label)})`;
      context.lineWidth = 1.5;
      context.setLineDash([8, 4]);
      context.strokeRect(x, y, place.x(box.high[column] - place.columnLow) - x,
        place.y(box.high[row] - place.rowLow) - y);
      context.restore();
    });
  }

  function paintCrosshair(context, place, view, axis) {
    const { row, column } = AXES[axis];
    const [x, y] = place.middle(view.at[row], view.at[column]);
    context.save();
    context.strokeStyle = "rgba(255, 255, 255, .55)";
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0); context.lineTo(x, context.canvas.height);
    context.moveTo(0, y); context.lineTo(context.canvas.width, y);
    context.stroke();
    context.restore();
  }

  /* Positive clicks are green discs, negative ones are vermilion squares, each with its number;
     paler up to two slices away. */
  function paintClicks(context, place, view, axis) {
    const { row, column } = AXES[axis];
    view.clicks.forEach((click) => {
      const away = Math.abs(click.at[axis] - view.at[axis]);
      if (away > 2 || !view.labels.has(click.label)) return;
      const [x, y] = place.middle(click.at[row], click.at[column]);
      context.save();
      context.globalAlpha = away ? 0.4 : 1;
      context.fillStyle = click.positive ? "rgb(0, 158, 115)" : "rgb(213, 94, 0)";
      context.strokeStyle = "#fff";
      context.lineWidth = 1.5;
      context.beginPath();
      if (click.positive) context.arc(x, y, 8, 0, 2 * Math.PI);
      else context.rect(x - 7.5, y - 7.5, 15, 15);
      context.fill();
      context.stroke();
      context.fillStyle = "#fff";
      context.font = "bold 11px system-ui, sans-serif";
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(String(click.number), x, y + 0.5);
      context.restore();
    });
  }

  return { AXES, ERRORS, Grid, LabelMaps, Placement, labelColour, paint, picture, unpackedParts };
})();
