using System;
using System.Runtime.CompilerServices;
using System.Threading;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>A <see cref="GemmPlan"/> being computed: how it is cut into blocks, and the tasks of the threads.</summary>
internal readonly unsafe struct GemmBlocks
{
    // A panel of columns, 128 KiB, comes from the level 2 cache as fast as it is multiplied: a longer k saves reading and writing c.
    private const int KBlock = 1024;
    private const int Lines = 16;
    private const int PanelsPerRowBlock = 12;
    private const int DirectPanels = 4;
    private const long RightFloats = 12 << 20;
    private readonly GemmSource* _sources;
    private readonly GemmSegment* _segments;
    private readonly GemmProduct* _products;
    private readonly int _sourceCount, _productCount, _stages, _height;
    private readonly long _m, _panels;

    public GemmBlocks(GemmSource* sources, int sourceCount, GemmSegment* segments, GemmProduct* products, int productCount, int stages, long m)
    {
        _sources = sources;
        _segments = segments;
        _products = products;
        (_sourceCount, _productCount, _stages, _m) = (sourceCount, productCount, stages, m);
        // Panels of even height: 16 rows are two of 8, not one of 14 and one of 2.
        int most = Microkernel.Best.Rows;
        long panels = (m + most - 1) / most;
        _height = (int)((m + panels - 1) / panels);
        _panels = (m + _height - 1) / _height;
    }

    /// <summary>Right sides first, then blocks of rows.</summary>
    public void RunRows(Workers workers, Scratch scratch)
    {
        long chunks = CountChunks(), right = 0, largest = 0, left = 0;
        for (int i = 0; i < _productCount; i++)
        {
            GemmProduct* product = _products + i;
            product->PanelFloats = Packing.PanelFloats(product->K, product->Width);
            right += product->PanelFloats * product->Panels;
            largest = Math.Max(largest, product->PanelFloats);
        }

        for (int i = 0; i < _sourceCount; i++)
        {
            _sources[i].PanelFloats = Packing.PanelFloats(_sources[i].K, _height);
            _sources[i].Offset = left;
            left += _sources[i].PanelFloats;
        }

        // As many blocks as keep all threads busy to the end.
        long blocks = (_panels + PanelsPerRowBlock - 1) / PanelsPerRowBlock;
        blocks = Math.Min(_panels, (blocks + workers.Count - 1) / workers.Count * workers.Count);
        long panelsPerBlock = (_panels + blocks - 1) / blocks;
        right = Math.Min(right, Math.Max(RightFloats, largest));
        left *= panelsPerBlock;
        using Scratch.Loan loan = scratch.Rent((Lines + right + workers.Count * (left + Tile)) * sizeof(float) + chunks * sizeof(GemmChunk) + 64);
        float* start = (float*)(((nint)loan.Pointer + 63) & ~63);
        Shared shared = new((long*)start, start + Lines, start + Lines + right, left + Tile, (GemmChunk*)(start + Lines + right + workers.Count * (left + Tile)));
        WriteChunks(shared.Chunks);
        int product0 = 0;
        for (int i = 0; i < _productCount; i++) _products[i].FirstPanel = _products[i].EndPanel = 0;
        while (product0 < _productCount)
        {
            // One pass: as many panels of columns as there is room for.
            long used = 0;
            int tasks = 0;
            for (int i = 0; i < _productCount; i++)
            {
                GemmProduct* product = _products + i;
                product->FirstPanel = product->EndPanel;
                long panels = i < product0 ? 0 : Math.Min(product->Panels - product->FirstPanel, (right - used) / Math.Max(1, product->PanelFloats));
                product->EndPanel = product->FirstPanel + panels;
                product->Packed = shared.Right + used;
                used += panels * product->PanelFloats;
                tasks += (int)panels;
                if (i == product0 && product->EndPanel == product->Panels) product0++;
            }

            MarkSources();
            workers.Run(new PackRightJob(this, shared.Chunks), tasks);
            *shared.Next = 0;
            workers.Run(new RowsJob(this, shared, blocks, panelsPerBlock), (int)Math.Min(blocks, workers.Count));
        }
    }

    /// <summary>Left sides first, then panels of columns.</summary>
    public void RunColumns(Workers workers, Scratch scratch)
    {
        long chunks = CountChunks(), left = 0, right = 0;
        for (int i = 0; i < _sourceCount; i++)
        {
            _sources[i].PanelFloats = Packing.PanelFloats(_sources[i].K, _height);
            _sources[i].Offset = left;
            if (!_sources[i].Operand.Direct) left += _sources[i].PanelFloats * _panels;
        }

        for (int i = 0; i < _productCount; i++) right = Math.Max(right, Packing.PanelFloats(KBlock + Lines, _products[i].Width));
        using Scratch.Loan loan = scratch.Rent((Lines + left + workers.Count * (right + Tile)) * sizeof(float) + chunks * sizeof(GemmChunk) + 64);
        float* start = (float*)(((nint)loan.Pointer + 63) & ~63);
        Shared shared = new((long*)start, start + Lines, start + Lines + left, right + Tile, (GemmChunk*)(start + Lines + left + workers.Count * (right + Tile)));
        WriteChunks(shared.Chunks);
        for (int stage = 0; stage < _stages; stage++)
        {
            int first = 0, end = 0;
            for (int i = 0; i < _sourceCount; i++)
            {
                _sources[i].Packed = shared.Right + _sources[i].Offset;
                if (_sources[i].Stage < stage) first = i + 1;
                if (_sources[i].Stage <= stage && !_sources[i].Operand.Direct) end = i + 1;
            }

            if (end > first) workers.Run(new PackLeftJob(this, first), (int)((end - first) * _panels));
            long panels = 0;
            for (int i = 0; i < _productCount; i++) panels += _products[i].Stage == stage ? _products[i].Panels : 0;
            long each = Math.Clamp(panels / (workers.Count * 4L), 1, 8);
            *shared.Next = 0;
            workers.Run(new ColumnsJob(this, shared, stage, each), (int)Math.Min(panels, workers.Count));
        }
    }

    private static long Tile => Microkernel.Best.Rows * Microkernel.Best.Columns;

    private long CountChunks()
    {
        long count = 0;
        for (int i = 0; i < _productCount; i++)
        {
            long before = count;
            for (int s = 0; s < _products[i].Segments; s++) count += (_sources[_segments[_products[i].FirstSegment + s].Source].K + KBlock - 1) / KBlock;
            // K = 0 is one chunk of nothing: zeros, to which the bias is added.
            count = Math.Max(count, before + 1);
        }

        return count;
    }

    private void WriteChunks(GemmChunk* chunks)
    {
        int count = 0;
        for (int i = 0; i < _productCount; i++)
        {
            GemmProduct* product = _products + i;
            product->FirstChunk = count;
            long start = 0;
            for (int s = 0; s < product->Segments; s++)
            {
                GemmSegment segment = _segments[product->FirstSegment + s];
                long k = _sources[segment.Source].K, pieces = (k + KBlock - 1) / KBlock;
                // Of even length, in whole vectors; by K alone, since it decides the order of the sum.
                long each = pieces == 0 ? 0 : ((k + pieces - 1) / pieces + Lines - 1) / Lines * Lines;
                for (long at = 0; at < k; at += each)
                {
                    chunks[count++] = new GemmChunk { Source = segment.Source, Right = segment.Right, FirstK = at, K = Math.Min(each, k - at), Start = start + at };
                }

                start += k;
            }

            if (count == product->FirstChunk) chunks[count++] = new GemmChunk { Right = _segments[product->FirstSegment].Right, Source = _segments[product->FirstSegment].Source };
            product->Chunks = count - product->FirstChunk;
        }
    }

    private void MarkSources()
    {
        for (int i = 0; i < _sourceCount; i++) _sources[i].Used = false;
        for (int i = 0; i < _productCount; i++)
        {
            if (_products[i].EndPanel == _products[i].FirstPanel) continue;
            for (int s = 0; s < _products[i].Segments; s++) _sources[_segments[_products[i].FirstSegment + s].Source].Used = true;
        }
    }

    private void PackLeft(GemmSource* source, long panel, float* destination)
    {
        long row = panel * _height;
        Packing.Pack(source->Operand, row, (int)Math.Min(_height, _m - row), 0, source->K, _height, destination);
    }

    /// <summary>One tile of c, one chunk of k; the last chunk finishes it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Multiply(GemmProduct* product, bool first, bool last, long k, long panel, long column, float* a, long strideA, float* b, long strideB, float* tile,
        byte* ahead, long step)
    {
        long row = panel * _height;
        int rows = (int)Math.Min(_height, _m - row), columns = (int)Math.Min(product->Width, product->N - column);
        float* c = product->C + row * product->StrideC + column;
        bool accumulate = !first || product->Accumulate;
        if (columns == product->Width)
        {
            Microkernel.Best.Multiply(rows, product->Narrow, k, a, strideA, b, strideB, c, product->StrideC, product->Alpha, accumulate, ahead, step);
        }
        else
        {
            Microkernel.Best.Multiply(rows, product->Narrow, k, a, strideA, b, strideB, tile, product->Width, product->Alpha, false, ahead, step);
            for (int i = 0; i < rows; i++)
            {
                for (int j = 0; j < columns; j++)
                {
                    float value = tile[i * product->Width + j];
                    c[i * product->StrideC + j] = accumulate ? c[i * product->StrideC + j] + value : value;
                }
            }
        }

        if (last && (product->Bias != null || product->Activation != Activation.None)) Finish(product, c, column, rows, columns);
    }

    private static void Finish(GemmProduct* product, float* c, long column, int rows, int columns)
    {
        for (int i = 0; i < rows; i++)
        {
            float* line = c + i * product->StrideC;
            if (product->Bias != null)
            {
                for (int j = 0; j < columns; j++) line[j] += product->Bias[column + j];
            }

            CpuBackend.ActivateRow(product->Activation, line, line, columns);
        }
    }

    /// <summary>What the threads share: the next block to take, the packed shared side, and for each thread room for the other side and a tile.</summary>
    private readonly struct Shared(long* next, float* right, float* lanes, long laneFloats, GemmChunk* chunks)
    {
        public long* Next => next;

        public float* Right => right;

        public GemmChunk* Chunks => chunks;

        public float* Lane(int lane) => lanes + lane * laneFloats;

        public long Take() => Interlocked.Increment(ref *next) - 1;
    }

    private readonly struct PackRightJob(GemmBlocks blocks, GemmChunk* chunks) : IJob
    {
        public void Run(int task)
        {
            GemmProduct* product = blocks._products;
            long panel = task;
            for (; panel >= product->EndPanel - product->FirstPanel; product++) panel -= product->EndPanel - product->FirstPanel;
            float* destination = product->Packed + panel * product->PanelFloats;
            long column = (product->FirstPanel + panel) * product->Width;
            int columns = (int)Math.Min(product->Width, product->N - column);
            for (GemmChunk* chunk = chunks + product->FirstChunk, end = chunk + product->Chunks; chunk < end; chunk++)
            {
                Packing.Pack(chunk->Right, column, columns, chunk->FirstK, chunk->K, product->Width, destination + chunk->Start * product->Width);
            }
        }
    }

    private readonly struct RowsJob(GemmBlocks blocks, Shared shared, long count, long panelsPerBlock) : IJob
    {
        public void Run(int lane)
        {
            float* left = shared.Lane(lane) + Tile;
            for (long block = shared.Take(); block < count; block = shared.Take())
            {
                long first = block * blocks._panels / count, end = (block + 1) * blocks._panels / count;
                for (int stage = 0; stage < blocks._stages; stage++)
                {
                    for (int i = 0; i < blocks._sourceCount; i++)
                    {
                        GemmSource* source = blocks._sources + i;
                        if (source->Stage != stage || !source->Used) continue;
                        for (long panel = first; panel < end; panel++)
                        {
                            blocks.PackLeft(source, panel, left + source->Offset * panelsPerBlock + (panel - first) * source->PanelFloats);
                        }
                    }

                    for (int i = 0; i < blocks._productCount; i++)
                    {
                        if (blocks._products[i].Stage == stage) Multiply(blocks._products + i, first, end, left, shared.Lane(lane));
                    }
                }
            }
        }

        private void Multiply(GemmProduct* product, long firstPanel, long endPanel, float* left, float* tile)
        {
            GemmChunk* begin = shared.Chunks + product->FirstChunk, end = begin + product->Chunks;
            for (GemmChunk* chunk = begin; chunk < end; chunk++)
            {
                GemmSource* source = blocks._sources + chunk->Source;
                for (long column = product->FirstPanel; column < product->EndPanel; column++)
                {
                    float* a = left + source->Offset * panelsPerBlock + chunk->FirstK * blocks._height;
                    float* b = product->Packed + (column - product->FirstPanel) * product->PanelFloats + chunk->Start * product->Width;
                    // While this panel of columns is used the next comes nearer.
                    byte* ahead = (byte*)(b + product->PanelFloats);
                    long step = (product->Width * sizeof(float) + endPanel - firstPanel - 1) / (endPanel - firstPanel);
                    for (long panel = firstPanel; panel < endPanel; panel++)
                    {
                        blocks.Multiply(product, chunk == begin, chunk + 1 == end, chunk->K, panel, column * product->Width, a, blocks._height, b, product->Width, tile,
                            ahead, step);
                        a += source->PanelFloats;
                        ahead += step * chunk->K;
                    }
                }
            }
        }
    }

    private readonly struct PackLeftJob(GemmBlocks blocks, int first) : IJob
    {
        public void Run(int task)
        {
            GemmSource* source = blocks._sources + first + task / blocks._panels;
            long panel = task % blocks._panels;
            if (!source->Operand.Direct) blocks.PackLeft(source, panel, source->Packed + panel * source->PanelFloats);
        }
    }

    private readonly struct ColumnsJob(GemmBlocks blocks, Shared shared, int stage, long panelsPerTask) : IJob
    {
        public void Run(int lane)
        {
            long task = shared.Take(), start = 0;
            for (int i = 0; i < blocks._productCount; i++)
            {
                GemmProduct* product = blocks._products + i;
                if (product->Stage != stage) continue;
                long tasks = (product->Panels + panelsPerTask - 1) / panelsPerTask;
                for (; task < start + tasks; task = shared.Take())
                {
                    long first = (task - start) * panelsPerTask;
                    Multiply(product, first, Math.Min(product->Panels, first + panelsPerTask), shared.Lane(lane));
                }

                start += tasks;
            }
        }

        private void Multiply(GemmProduct* product, long firstColumn, long endColumn, float* tile)
        {
            float* packed = tile + Tile;
            GemmChunk* begin = shared.Chunks + product->FirstChunk, end = begin + product->Chunks;
            for (GemmChunk* chunk = begin; chunk < end; chunk++)
            {
                GemmSource* source = blocks._sources + chunk->Source;
                bool directLeft = source->Operand.Direct;
                float* left = directLeft ? (float*)source->Operand.Data + chunk->FirstK * source->Operand.Stride : source->Packed + chunk->FirstK * blocks._height;
                long strideA = directLeft ? source->Operand.Stride : blocks._height, stepA = directLeft ? blocks._height : source->PanelFloats;
                for (long panel = firstColumn; panel < endColumn; panel++)
                {
                    long column = panel * product->Width;
                    int columns = (int)Math.Min(product->Width, product->N - column);
                    bool directRight = chunk->Right.Direct && columns == product->Width && blocks._panels <= DirectPanels;
                    float* b = directRight ? (float*)chunk->Right.Data + chunk->FirstK * chunk->Right.Stride + column : packed;
                    if (!directRight) Packing.Pack(chunk->Right, column, columns, chunk->FirstK, chunk->K, product->Width, packed);
                    for (long row = 0; row < blocks._panels; row++)
                    {
                        blocks.Multiply(product, chunk == begin, chunk + 1 == end, chunk->K, row, column, left + row * stepA, strideA, b,
                            directRight ? chunk->Right.Stride : product->Width, tile, (byte*)tile, 0);
                    }
                }
            }
        }
    }
}
