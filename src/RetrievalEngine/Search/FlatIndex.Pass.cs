using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Search;

public sealed partial class FlatIndex
{
    /// <summary>Searches with the same options: scans, and where the scan's scores are not the results, scores candidates again.</summary>
    private sealed partial class Pass : IDisposable
    {
        // Rows of bits are made bytes so many at a time.
        private const int WidenedBytes = 4 << 20;

        private readonly FlatIndex _index;
        private readonly SearchOptions _options;
        private readonly Arena _arena;
        private readonly Action _check;
        private readonly int _width;
        private readonly Lazy<VectorShard[]> _shards, _codes;
        private CpuMemory? _widened;

        /// <summary><paramref name="check"/> is called between two blocks of rows and may throw.</summary>
        public Pass(FlatIndex index, SearchOptions options, Action check)
        {
            (_index, _options, _check) = (index, options, check);
            _arena = new Arena(index._backend);
            _width = options.PrefixDimensions ?? index.Dimensions;
            bool hasNumbers = _width < index.Dimensions || options.Filter is not null;
            _shards = new Lazy<VectorShard[]>(() => hasNumbers ? [.. WithNumbers(index._shards)] : index._shards);
            _codes = new Lazy<VectorShard[]>(() => hasNumbers ? [.. WithNumbers(index._codes)] : index._codes);
        }

        private bool IsDistance => _index.Metric == Metric.L2;

        /// <summary>The best <paramref name="k"/> rows, at most all, of each query.</summary>
        public SearchResults Search(float[] queries, int k)
        {
            if (_width < _index.Dimensions) return ByPrefix(queries, k);
            if (IsDistance) return ByDistance(queries, k);
            if (TakesCodes(queries.Length / _index.Dimensions, k)) return ByCodes(queries, k);
            SearchResults results = new(queries.Length / _index.Dimensions, k);
            Scan(_shards.Value, queries, k, results.Scores, results.Rows);
            return results;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            _arena.Dispose();
            _widened?.Dispose();
        }

        /// <summary>The shards with the scales and terms that the options ask for.</summary>
        private IEnumerable<VectorShard> WithNumbers(VectorShard[] shards)
        {
            IBackend backend = _index._backend;
            float[]? squares = _width < _index.Dimensions && _index.Metric != Metric.InnerProduct ? _index.PrefixSquares(_width) : null;
            long firstRow = 0;
            foreach (VectorShard shard in shards)
            {
                int count = checked((int)shard.Rows.Shape[0]);
                float[] terms = shard.Terms.IsEmpty ? new float[count] : _index.Download<float>(shard.Terms);
                ReadOnlySpan<float> ofShard = squares is null ? default : squares.AsSpan((int)firstRow, count);
                for (int i = 0; IsDistance && i < ofShard.Length; i++) terms[i] = float.IsNaN(terms[i]) ? float.NaN : -ofShard[i] / 2;
                _options.Filter?.Restrict(firstRow, terms);
                Tensor termsIn = _arena.Allocate(new Shape(count)), scalesIn = shard.Scales;
                backend.Upload<float>(terms, termsIn);
                if (_index.Metric == Metric.Cosine && squares is not null)
                {
                    // The cosine of prefixes; scales of the rows' own are in the squares already, and are divided by.
                    float[] scales = shard.Scales.IsEmpty ? [.. Enumerable.Repeat(1f, count)] : _index.Download<float>(shard.Scales);
                    for (int i = 0; i < count; i++) scales[i] = ofShard[i] > 0 ? scales[i] / MathF.Sqrt(ofShard[i]) : 0;
                    scalesIn = _arena.Allocate(new Shape(count));
                    backend.Upload<float>(scales, scalesIn);
                }

                yield return shard with { Scales = scalesIn, Terms = termsIn };
                firstRow += count;
            }
        }

        /// <summary>Candidates by the first elements, then all elements of them.</summary>
        private SearchResults ByPrefix(float[] queries, int k)
        {
            int count = queries.Length / _index.Dimensions, m = (int)Math.Min((long)k * _options.RescoreMultiplier, _index.Rows);
            float[] prefixes = new float[count * _width], scores = new float[count * m];
            for (int q = 0; q < count; q++) queries.AsSpan(q * _index.Dimensions, _width).CopyTo(prefixes.AsSpan(q * _width));
            long[] rows = new long[count * m];
            Scan(_shards.Value, prefixes, m, scores, rows);
            Rescore(queries, rows, scores);
            SearchResults results = new(count, k);
            for (int q = 0; q < count; q++) results.Rank(q, scores.AsSpan(q * m, m), rows.AsSpan(q * m, m), SearchProof.None);
            return results;
        }

        /// <summary>The best <paramref name="k"/> rows by the scan's scores, from queries [Q, width].</summary>
        private void Scan(VectorShard[] shards, ReadOnlySpan<float> queries, int k, Span<float> scores, Span<long> rows)
        {
            IBackend backend = _index._backend;
            int count = queries.Length / _width;
            ArenaMark mark = _arena.Mark();
            Tensor queriesIn = _arena.Allocate(new Shape(count, _width)), scoresOut = _arena.Allocate(new Shape(count, k));
            Tensor rowsOut = _arena.Allocate(new Shape(count, k), DType.I64);
            backend.Upload(queries, queriesIn);
            long firstRow = 0, total = _index.Rows;
            // More than memory holds is read once a pass, the next block while one is scanned, and none of it is kept.
            bool streams = backend.FreeBytes is null
                && shards.Where(static shard => HostRows.AreMapped(shard.Rows)).Sum(static shard => shard.Rows.Bytes) > _index.MemoryBytes / 2;
            foreach (VectorShard shard in shards)
            {
                long n = shard.Rows.Shape[0], most = PieceRows(shard);
                for (long start = 0; start < n; start += most)
                {
                    _check();
                    long piece = Math.Min(most, n - start);
                    Tensor some = shard.Rows.Slice(start, piece), read = some;
                    if (streams && start + piece < n) HostRows.Prefetch(shard.Rows.Slice(start + piece, Math.Min(most, n - start - piece)));
                    if (shard.IsBinary) some = Widened(some);
                    backend.ScoreTopK(queriesIn, some, Part(shard.Scales, start, piece), Part(shard.Terms, start, piece), firstRow + start, scoresOut, rowsOut,
                        merge: firstRow + start > 0);
                    if (streams) HostRows.GiveBack(read);
                    _options.Progress?.Report(new ProgressUpdate("search", firstRow + start + piece, total, "vectors"));
                }

                firstRow += n;
            }

            _check();
            backend.Download(scoresOut, MemoryMarshal.AsBytes(scores));
            backend.Download(rowsOut, MemoryMarshal.AsBytes(rows));
            _arena.Release(mark);
        }

        /// <summary>Rows of bits as rows of ±1, on the host: a device takes them from there.</summary>
        private Tensor Widened(Tensor bits)
        {
            int n = (int)bits.Shape[0], rowBytes = (int)bits.Shape[1];
            _widened ??= new CpuMemory(Math.Max(WidenedBytes, _width));
            Tensor bytes = new(_widened, 0, new Shape(n, _width), DType.I8);
            ReadOnlySpan<byte> from = bits.AsSpan<byte>();
            Span<sbyte> to = bytes.AsSpan<sbyte>();
            for (int row = 0; row < n; row++) SignBits.Widen(from.Slice(row * rowBytes, rowBytes), _width, to.Slice(row * _width, _width));
            return bytes;
        }

        /// <summary>Rows that are scanned between two looks at the cancellation: on a device all, which are soon done.</summary>
        private long PieceRows(VectorShard shard)
        {
            if (shard.IsBinary) return Math.Max(1, WidenedBytes / _width);
            return _index._backend.FreeBytes is null ? Math.Max(1, PieceBytes / (shard.Rows.Shape[1] * shard.Rows.DType.Size())) : Math.Max(1, shard.Rows.Shape[0]);
        }

        private static Tensor Part(Tensor numbers, long start, long count) => numbers.IsEmpty ? default : numbers.Slice(start, count);
    }
}
