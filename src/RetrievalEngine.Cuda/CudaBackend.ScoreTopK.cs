using System;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Cuda.Driver;

namespace RetrievalEngine.Cuda;

public sealed unsafe partial class CudaBackend
{
    // Candidates of the queries of one pass over the rows, and rows that wait as copies in another type.
    private const long CandidateBytes = 256 << 20, PackedBytes = 128 << 20;

    private RowStream? _rowStream;

    /// <summary>Bytes of a piece of rows that come from the host, of which two are on the device; before the first search of such rows.</summary>
    internal long StreamedBytes { get; set; } = 256 << 20;

    /// <inheritdoc/>
    public void ScoreTopK(Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long firstRow, Tensor scores, Tensor indices, bool merge)
    {
        (long q, long n, long d, long k) = OpChecks.ScoreTopK(queries, rows, rowScales, rowTerms, firstRow, scores, indices);
        if (q == 0 || k == 0) return;
        if (rows.Shape[1] > d)
        {
            // What lies behind a prefix counts nothing against zeros.
            ArenaMark mark = Scratch.Mark();
            Tensor padded = Scratch.Allocate(new Shape(q, rows.Shape[1]));
            Fill(padded, 0);
            for (long i = 0; i < q && d > 0; i++) Copy(queries.Slice(i, 1).Reshape(d), padded.Slice(i, 1).Reshape(rows.Shape[1]).Slice(0, d));
            ScoreTopK(padded, rows, rowScales, rowTerms, firstRow, scores, indices, merge);
            Scratch.Release(mark);
            return;
        }

        if (rows.Memory is CpuMemory)
        {
            RowStream stream = StreamOf(rows.Shape[1] * rows.DType.Size());
            stream.Run(rows, (piece, start) => ScoreTopK(queries, piece, Part(rowScales, start, piece.Shape[0]), Part(rowTerms, start, piece.Shape[0]),
                firstRow + start, scores, indices, merge || start > 0));
            return;
        }

        // A candidate's row has 32 bits.
        for (long start = 0; start == 0 || start < n; start += uint.MaxValue)
        {
            long count = Math.Min(uint.MaxValue, n - start), slots = SortLength(Math.Min(8 * k, count));
            Tensor some = rows.Slice(start, count), scales = Part(rowScales, start, count), terms = Part(rowTerms, start, count);
            long most = Math.Max(1, CandidateBytes / (slots * sizeof(ulong)));
            for (long query = 0; query < q; query += most)
            {
                long part = Math.Min(most, q - query);
                ArenaMark mark = Scratch.Mark();
                new Sieve(this, queries.Slice(query, part), some, scales, terms, slots, checked((int)k))
                    .Run(firstRow + start, scores.Slice(query, part), indices.Slice(query, part), merge || start > 0);
                Scratch.Release(mark);
            }
        }
    }

    /// <summary>The rows' numbers, where there are any.</summary>
    private static Tensor Part(Tensor numbers, long start, long count) => numbers.IsEmpty ? default : numbers.Slice(start, count);

    /// <summary>The way of rows of so many bytes from the host; made when first needed, and again for rows that are larger than its pieces.</summary>
    private RowStream StreamOf(long rowBytes)
    {
        if (_rowStream is not null && _rowStream.PieceBytes >= rowBytes) return _rowStream;
        _context.MakeCurrent();
        _stream.Synchronize();
        _rowStream?.Dispose();
        _rowStream = null;
        return _rowStream = new RowStream(_context, _stream, Math.Max(StreamedBytes, rowBytes));
    }

    /// <summary>As kernels/core/candidates.cuh has it; pointers to device memory.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SearchArguments
    {
        public ulong Queries, Plane, Scales, Margins, Thresholds, Keys, Counts, Flags, Largest;
        public long Slots;
        public int QueryCount, Width, PlaneWidth;
        public float NormFactor, NormFloor, Rounding;
        public int K, RowBytes;
    }

    /// <summary><c>SearchOnHopper</c> of kernels/hopper/scoretopk_hopper.cu, which is aligned to, and so a multiple of, 64 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct HopperSearchArguments
    {
        public TensorMap Rows, Plane;
        public SearchArguments Search;
        public ulong RowScales, RowTerms;
        public uint FirstRow;
        public int Count;
        private fixed byte _padding[56];
    }

    /// <summary>
    /// One pass of some queries over all rows. A chunk of rows goes through the sieve, which adds candidates to each query's slots; then they are sorted,
    /// those that cannot be among the best go, and the threshold rises for the next, larger chunk. Where slots run out, candidates get their exact scores,
    /// of which k stay, and the chunk is done again, in halves if need be: as many rows as there are free slots always fit.
    /// </summary>
    private ref struct Sieve
    {
        // As kernels/scoretopk.cu has them.
        private const int FewRows = 256, FewThreads = 256, FewQueries = 8, PlaneStep = 32, ManyRows = 128, HopperQueries = 256;

        // Each chunk is so many times as long as the one before, whose k best leave about as many times k candidates of it.
        private const int Growth = 4;

        private readonly CudaBackend _backend;
        private readonly Tensor _rows, _rowScales, _rowTerms, _packed, _keys, _counts, _kept, _state;
        private readonly DType _plane, _type;
        private readonly int _columns;
        private readonly long _paddedQueries;
        private SearchArguments _arguments;

        /// <summary>Allocates from the backend's scratch.</summary>
        public Sieve(CudaBackend backend, Tensor queries, Tensor rows, Tensor rowScales, Tensor rowTerms, long slots, int k)
        {
            (_backend, _rows, _rowScales, _rowTerms) = (backend, rows, rowScales, rowTerms);
            long count = queries.Shape[0], width = queries.Shape[1];
            int planeWidth = checked((int)((Math.Max(width, 1) + PlaneStep - 1) / PlaneStep * PlaneStep));
            _columns = count <= FewQueries ? FewQueries : count <= 32 ? 32 : count <= 128 ? 128 : 256;
            // Few queries' rows are read 8 elements at a time, others' 16 bytes; so are the queries themselves.
            long step = Math.Max(PacketElements, _columns == FewQueries ? 0 : PacketBytes / rows.DType.Size());
            bool packs = width % step != 0 || CudaMemory.Address(rows) % PacketBytes != 0;
            _plane = rows.DType is DType.F16 or DType.I8 ? DType.F16 : DType.BF16;
            _type = packs ? _plane : rows.DType;
            _paddedQueries = (count + _columns - 1) / _columns * _columns;

            if (packs) _packed = Allocate(_plane, Math.Clamp(PackedBytes / (planeWidth * _plane.Size()), 1, Math.Max(1, rows.Shape[0])), planeWidth);
            _keys = Allocate(DType.I64, count, slots);
            _counts = Allocate(DType.I32, count);
            _kept = Allocate(DType.I32, count);
            // Two flags and the largest length, 64 bits each; as floats, so that they can be cleared.
            _state = Allocate(DType.F32, 6);
            backend.Fill(_state, 0);
            _arguments = new SearchArguments
            {
                Queries = CudaMemory.Address(queries),
                Plane = CudaMemory.Address(Allocate(_plane, _paddedQueries, planeWidth)),
                Scales = CudaMemory.Address(Allocate(DType.F32, _paddedQueries)),
                Margins = CudaMemory.Address(Allocate(DType.F32, _paddedQueries)),
                Thresholds = CudaMemory.Address(Allocate(DType.F32, _paddedQueries)),
                Keys = CudaMemory.Address(_keys),
                Counts = CudaMemory.Address(_counts),
                Flags = CudaMemory.Address(_state),
                Largest = CudaMemory.Address(_state.Slice(4, 2)),
                Slots = slots,
                QueryCount = (int)count,
                Width = (int)width,
                PlaneWidth = planeWidth,
                // A sum of squares loses no more than any sum of the tensor cores; a square of bf16 may vanish, one of f16 does not.
                NormFactor = 1 + (width + 32) * MathF.ScaleB(1, -22),
                NormFloor = _plane == DType.F16 ? 0 : MathF.Sqrt(width) * MathF.ScaleB(1, -60),
                Rounding = rows.DType == DType.F32 ? 1.02f * MathF.ScaleB(1, -9) : 0,
                K = k,
                RowBytes = _columns == FewQueries ? 2 : _type.Size(),
            };

            Tensor Allocate(DType dtype, params ReadOnlySpan<long> sizes) => backend.Scratch.Allocate(new Shape(sizes), dtype);
        }

        /// <summary>Brings the rows, of which the first has number <paramref name="firstRow"/>, into the lists.</summary>
        public void Run(long firstRow, Tensor scores, Tensor indices, bool merge)
        {
            Select($"scoretopk_prepare_{Suffix(_plane)}", new Grid(_paddedQueries),
                [KernelArgument.Struct(ref _arguments), merge ? scores : default, merge ? indices : default]);
            _backend.Copy(_counts, _kept);
            // Thresholds from the lists leave few candidates of however many rows; without them the first rows are candidates all.
            long n = _rows.Shape[0], chunk = merge ? Math.Max(n, 1) : _arguments.Slots;
            bool areExact = true;
            for (long start = 0; start < n;)
            {
                long count = Math.Min(Math.Min(chunk, n - start), int.MaxValue);
                if (!_packed.IsEmpty) count = Math.Min(count, _packed.Shape[0]);
                Score(start, count);
                (bool wereLost, bool areUnbounded) = ReadFlags();
                if (wereLost)
                {
                    _backend.Copy(_kept, _counts);
                    if (areExact) chunk = Math.Max(count / 2, 1);
                    else Prune(exactly: true);
                    areExact = true;
                    continue;
                }

                start += count;
                chunk = count * Growth;
                areExact = areUnbounded;
                // Few queries' last candidates are scored at once.
                if (start < n || _columns > FewQueries) Prune(areUnbounded);
            }

            Prune(exactly: true);
            Merge(firstRow, scores, indices, merge);
        }

        /// <summary>Candidates among <paramref name="count"/> rows from <paramref name="start"/> on.</summary>
        private void Score(long start, long count)
        {
            Tensor rows = _rows.Slice(start, count), scales = Part(_rowScales, start, count), terms = Part(_rowTerms, start, count);
            int width = _arguments.Width;
            if (!_packed.IsEmpty)
            {
                long chunks = count * (_arguments.PlaneWidth / 8);
                _backend.Launch("scoretopk", $"scoretopk_pack_{Suffix(rows.DType)}", new Grid((chunks + FewThreads - 1) / FewThreads), FewThreads, 0,
                    [rows, _packed, count, width, _arguments.PlaneWidth]);
                (rows, width) = (_packed, _arguments.PlaneWidth);
            }

            long columns = _paddedQueries / _columns;
            if (_columns == FewQueries)
            {
                _backend.Launch("scoretopk", $"scoretopk_few_{Suffix(rows.DType)}", new Grid((count + FewRows - 1) / FewRows * columns), FewThreads, 0,
                    [KernelArgument.Struct(ref _arguments), rows, (long)width, scales, terms, (uint)start, count]);
                return;
            }

            if (_columns == HopperQueries && _type == _plane && _arguments.Width > 0 && _backend.Device is { Major: 9, Minor: 0 })
            {
                ScoreOnHopper(rows, width, scales, terms, start, (int)count);
                return;
            }

            int size = _type.Size();
            (string shape, int threads, int sharedBytes) = _columns switch
            {
                256 => ("wide", 256, (size == 4 ? 3 : 4) * (128 * size + 256 * 2) * 32),
                128 => ("large", size == 4 ? 256 : 128, 3 * (128 * size + 128 * 2) * 32),
                _ => ("narrow", 128, 4 * (128 * size + 32 * 2) * (size == 4 ? 32 : 64)),
            };
            _backend.Launch("scoretopk", $"scoretopk_{shape}_{Suffix(rows.DType)}", new Grid((count + ManyRows - 1) / ManyRows * columns), threads, sharedBytes,
                [KernelArgument.Struct(ref _arguments), rows, (long)width, scales, terms, (uint)start, (int)count]);
        }

        /// <summary>The same by kernels/hopper/scoretopk_hopper.cu, for rows of 16 bits.</summary>
        private void ScoreOnHopper(Tensor rows, int stride, Tensor scales, Tensor terms, long start, int count)
        {
            const int Columns = 64, Threads = 384, SharedBytes = (4 * (ManyRows + HopperQueries) * Columns * 2) + (3 * ManyRows * 4) + (10 * 8);
            HopperSearchArguments arguments = new()
            {
                Rows = TensorMap.Encode(CudaMemory.Address(rows), _type, count, _arguments.Width, stride, ManyRows, Columns),
                Plane = TensorMap.Encode(_arguments.Plane, _plane, _paddedQueries, _arguments.PlaneWidth, _arguments.PlaneWidth, HopperQueries, Columns),
                Search = _arguments,
                RowScales = CudaMemory.Address(scales),
                RowTerms = CudaMemory.Address(terms),
                FirstRow = (uint)start,
                Count = count,
            };
            long tiles = ((long)count + ManyRows - 1) / ManyRows * (_paddedQueries / HopperQueries);
            _backend.Launch("scoretopk_hopper", $"scoretopk_hopper_{Suffix(_type)}", new Grid(Math.Min(tiles, _backend.Device.Multiprocessors)), Threads,
                SharedBytes, [KernelArgument.Struct(ref arguments)]);
        }

        /// <summary>
        /// Sorts each query's candidates and drops those that are surely not among its best k; <paramref name="exactly"/>: by their scores, k at most stay.
        /// </summary>
        private void Prune(bool exactly)
        {
            if (exactly)
            {
                const int Warps = RowThreads / Warp;
                long blocks = Math.Clamp(16L * _backend.Device.Multiprocessors / _arguments.QueryCount, 1, (_arguments.Slots + Warps - 1) / Warps);
                Each($"scoretopk_rescore_{Suffix(_rows.DType)}", blocks, [KernelArgument.Struct(ref _arguments), _rows, _rowScales, _rowTerms]);
            }

            Each("scoretopk_pad", Math.Min(_arguments.Slots / RowThreads, 8), [KernelArgument.Struct(ref _arguments)]);
            _backend.SortDescending(_keys);
            Select("scoretopk_prune", new Grid((_arguments.QueryCount + RowThreads - 1) / RowThreads),
                [KernelArgument.Struct(ref _arguments), exactly ? 1 : 0, _kept]);
        }

        private void Merge(long firstRow, Tensor scores, Tensor indices, bool merge)
        {
            Tensor newScores = _backend.Scratch.Allocate(scores.Shape), newIndices = _backend.Scratch.Allocate(indices.Shape, DType.I64);
            Select("scoretopk_merge", new Grid(_arguments.QueryCount),
                [KernelArgument.Struct(ref _arguments), merge ? 1 : 0, firstRow, scores, indices, newScores, newIndices]);
            _backend.Copy(newScores, scores);
            _backend.Copy(newIndices, indices);
        }

        /// <summary>Waits for the sieve: whether candidates found no slot, and whether some bound was no number.</summary>
        private (bool WereLost, bool AreUnbounded) ReadFlags()
        {
            ulong* flags = stackalloc ulong[2];
            Tensor tensor = _state.Slice(0, 4);
            _backend.Download(tensor, new Span<byte>(flags, 2 * sizeof(ulong)));
            (bool wereLost, bool areUnbounded) = (flags[0] != 0, flags[1] != 0);
            if (wereLost || areUnbounded) _backend.Fill(tensor, 0);
            return (wereLost, areUnbounded);
        }

        private void Each(KernelName kernel, long blocks, scoped ReadOnlySpan<KernelArgument> arguments) =>
            Select(kernel, new Grid(blocks, _arguments.QueryCount), arguments);

        private void Select(KernelName kernel, Grid grid, scoped ReadOnlySpan<KernelArgument> arguments) =>
            _backend.Launch("scoretopk_select", kernel, grid, RowThreads, 0, arguments);
    }
}
