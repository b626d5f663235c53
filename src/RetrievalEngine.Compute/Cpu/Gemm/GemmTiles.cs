using System;
using System.Runtime.CompilerServices;

namespace RetrievalEngine.Compute.Cpu.Gemm;

/// <summary>
/// A <see cref="GemmPlan"/> cut into tiles: panels of rows on the left, panels of columns on the right, and chunks of k. <see cref="GemmByRows"/> and
/// <see cref="GemmByColumns"/> say who computes which of them when.
/// </summary>
internal readonly unsafe struct GemmTiles
{
    /// <summary>
    /// Most k of a chunk. Such a panel of columns, 128 KiB, comes from the level 2 cache as fast as it is multiplied; a long chunk saves reading and
    /// writing c.
    /// </summary>
    public const int ChunkK = 1024;

    /// <summary>Floats of a line of the cache; chunks are whole lines.</summary>
    public const int Line = 16;

    private const long KTogether = 128;
    private readonly GemmSegment* _segments;
    private readonly long _m;

    /// <summary>
    /// Cuts a plan over <paramref name="m"/> rows into panels of rows whose number is a multiple of <paramref name="lanes"/>, for the
    /// <see cref="Microkernel"/> or, when <paramref name="direct"/>, for the <see cref="DirectKernel"/>.
    /// </summary>
    public GemmTiles(
        GemmSource* sources, int sourceCount, GemmSegment* segments, GemmProduct* products, int productCount, int stages, long m, int lanes,
        bool direct)
    {
        Sources = sources;
        SourceCount = sourceCount;
        Products = products;
        ProductCount = productCount;
        Stages = stages;
        _segments = segments;
        _m = m;
        Direct = direct;
        // Panels of even height: 16 rows are two of 8, not one of 14 and one of 2; and as many for each thread.
        int most = direct ? DirectKernel.Rows : Microkernel.Best.Rows;
        Panels = Math.Min(m, ((m + most - 1) / most + lanes - 1) / lanes * lanes);
        Height = (int)((m + Panels - 1) / Panels);
        // Whole vectors.
        if (direct) Height = (Height + Line - 1) / Line * Line;
    }

    /// <summary>Whether the <see cref="DirectKernel"/> computes it.</summary>
    public bool Direct { get; }

    /// <summary>Left operands.</summary>
    public GemmSource* Sources { get; }

    /// <summary>Number of left operands.</summary>
    public int SourceCount { get; }

    /// <summary>Products, in the order of their stages.</summary>
    public GemmProduct* Products { get; }

    /// <summary>Number of products.</summary>
    public int ProductCount { get; }

    /// <summary>Number of stages.</summary>
    public int Stages { get; }

    /// <summary>Rows for which a panel has room: those of the highest panels, when direct up to whole vectors; some panels have one less.</summary>
    public int Height { get; }

    /// <summary>Panels of rows.</summary>
    public long Panels { get; }

    /// <summary>Floats of the largest tile.</summary>
    public static long TileFloats => Microkernel.Best.Rows * Microkernel.Best.Columns;

    /// <summary>First row of a panel.</summary>
    public long FirstRow(long panel) => panel * _m / Panels;

    /// <summary>Number of chunks of all products.</summary>
    public long CountChunks()
    {
        long count = 0;
        for (int i = 0; i < ProductCount; i++)
        {
            long before = count;
            for (int s = 0; s < Products[i].Segments; s++) count += (Sources[_segments[Products[i].FirstSegment + s].Source].K + ChunkK - 1) / ChunkK;
            // K = 0 is one chunk of nothing: zeros, to which the bias is added.
            count = Math.Max(count, before + 1);
        }

        return count;
    }

    /// <summary>Writes them, and into each product where its own are.</summary>
    public void WriteChunks(GemmChunk* chunks)
    {
        for (int i = 0; i < ProductCount; i++)
        {
            GemmProduct* product = Products + i;
            product->Chunks = chunks;
            long start = 0;
            for (int s = 0; s < product->Segments; s++)
            {
                GemmSegment segment = _segments[product->FirstSegment + s];
                long k = Sources[segment.Source].K, pieces = (k + ChunkK - 1) / ChunkK;
                // Of even length, by K alone: it decides the order of the sum.
                long each = pieces == 0 ? 0 : ((k + pieces - 1) / pieces + Line - 1) / Line * Line;
                for (long at = 0; at < k; at += each)
                {
                    long length = Math.Min(each, k - at);
                    *chunks++ = new GemmChunk { Source = segment.Source, Right = segment.Right, FirstK = at, K = length, Start = start + at };
                }

                start += k;
            }

            if (chunks == product->Chunks)
            {
                GemmSegment segment = _segments[product->FirstSegment];
                *chunks++ = new GemmChunk { Source = segment.Source, Right = segment.Right };
            }

            product->EndChunk = chunks;
        }
    }

    /// <summary>Marks the sources of the products that the current pass computes.</summary>
    public void MarkSources()
    {
        for (int i = 0; i < SourceCount; i++) Sources[i].Used = false;
        for (int i = 0; i < ProductCount; i++)
        {
            if (Products[i].EndPanel == Products[i].FirstPanel) continue;
            for (int s = 0; s < Products[i].Segments; s++) Sources[_segments[Products[i].FirstSegment + s].Source].Used = true;
        }
    }

    /// <summary>Whether a source has to be packed.</summary>
    public bool Packs(GemmSource* source) => Direct || !source->Operand.Direct;

    /// <summary>Packs panels of rows of a source, all of their k, one behind the other.</summary>
    public void PackLeft(GemmSource* source, long firstPanel, long endPanel, float* destination)
    {
        // Where the rows lie side by side the panels share lines of the cache: they go on together.
        long step = source->Operand.KMajor ? KTogether : Math.Max(1, source->K);
        for (long k = 0; k < source->K; k += step)
        {
            for (long panel = firstPanel; panel < endPanel; panel++)
            {
                long row = FirstRow(panel);
                float* to = destination + (panel - firstPanel) * source->PanelFloats + k * Height;
                Packing.Pack(source->Operand, row, (int)(FirstRow(panel + 1) - row), k, Math.Min(step, source->K - k), Height, to);
            }
        }
    }

    /// <summary>Packs a chunk of a panel of columns.</summary>
    public static void PackRight(GemmProduct* product, GemmChunk* chunk, long panel, float* destination)
    {
        long column = panel * product->Width;
        Packing.Pack(chunk->Right, column, (int)Math.Min(product->Width, product->N - column), chunk->FirstK, chunk->K, product->Width, destination);
    }

    /// <summary>
    /// One tile of c, one chunk of k; the first chunk overwrites c unless the product adds to it, the last one finishes it. <paramref name="tile"/>
    /// is room for a tile that is not whole; <paramref name="ahead"/> and <paramref name="step"/>: <see cref="Microkernel.Multiply"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Multiply(GemmProduct* product, GemmChunk* chunk, long rowPanel, long columnPanel, float* a, long strideA, float* b, long strideB,
        float* tile, byte* ahead, long step)
    {
        long row = FirstRow(rowPanel), column = columnPanel * product->Width;
        int rows = (int)(FirstRow(rowPanel + 1) - row), columns = (int)Math.Min(product->Width, product->N - column);
        float* c = product->C + row * product->StrideC + column;
        bool accumulate = chunk != product->Chunks || product->Accumulate;
        Microkernel kernel = Microkernel.Best;
        if (columns == product->Width)
        {
            kernel.Multiply(rows, product->Narrow, chunk->K, a, strideA, b, strideB, c, product->StrideC, product->Alpha, accumulate, ahead, step);
        }
        else
        {
            // The room holds what lies at c: the same sum as in a whole tile.
            for (int i = 0; i < rows && accumulate; i++)
                new ReadOnlySpan<float>(c + i * product->StrideC, columns).CopyTo(new Span<float>(tile + i * product->Width, columns));
            kernel.Multiply(rows, product->Narrow, chunk->K, a, strideA, b, strideB, tile, product->Width, product->Alpha, accumulate, ahead, step);
            for (int i = 0; i < rows; i++)
                new ReadOnlySpan<float>(tile + i * product->Width, columns).CopyTo(new Span<float>(c + i * product->StrideC, columns));
        }

        if (chunk + 1 == product->EndChunk) Finish(product, c, column, rows, columns);
    }

    /// <summary>
    /// The same for columns <paramref name="column"/> and following by the <see cref="DirectKernel"/>, whose rows of <paramref name="operand"/> begin at
    /// <paramref name="right"/>; <see cref="FinishDirect"/> finishes it.
    /// </summary>
    public void MultiplyDirect(GemmProduct* product, GemmChunk* chunk, in Operand operand, long rowPanel, long column, int columns, float* left, byte* right, float* tile,
        byte* next)
    {
        long row = FirstRow(rowPanel), rows = FirstRow(rowPanel + 1) - row;
        DirectKernel.Multiply(operand.DType, chunk->K, right, operand.Stride, columns, left, Height, tile, next);
        bool accumulate = chunk != product->Chunks || product->Accumulate;
        float* c = product->C + row * product->StrideC + column;
        for (long i = 0; i < rows; i++, c += product->StrideC)
        {
            for (int j = 0; j < columns; j++)
            {
                float sum = tile[j * Height + i];
                c[j] = accumulate ? MathF.FusedMultiplyAdd(sum, product->Alpha, c[j]) : sum * product->Alpha;
            }
        }
    }

    /// <summary>Adds the bias to columns <paramref name="first"/> … <paramref name="end"/> - 1 of all rows and applies the activation.</summary>
    public void FinishDirect(GemmProduct* product, long first, long end) => Finish(product, product->C + first, first, (int)_m, (int)(end - first));

    private static void Finish(GemmProduct* product, float* c, long column, int rows, int columns)
    {
        if (product->Bias == null && product->Activation == Activation.None) return;
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
}
