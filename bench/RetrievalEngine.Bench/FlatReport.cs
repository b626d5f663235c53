using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Indexing;
using RetrievalEngine.Search;

namespace RetrievalEngine.Bench;

/// <summary>
/// <c>flat [ROWSxDIMENSIONS …] [--quick] [--threads N] [--peer FILE]</c>: exact search in an index on disk, milliseconds a query beside faiss's IndexFlatIP in
/// the same run, where Debian's python3-faiss and <c>../shared/peers/flat_faiss.py</c> (or FILE) are.
/// </summary>
internal static class FlatReport
{
    private const string Peer = "../shared/peers/flat_faiss.py";
    private const long PlainBytes = 512L << 20;
    private static readonly CultureInfo s_culture = CultureInfo.InvariantCulture;

    public static void Run(string[] arguments)
    {
        bool isQuick = arguments.Contains("--quick");
        int at = Array.IndexOf(arguments, "--threads"), peerAt = Array.IndexOf(arguments, "--peer");
        int[] threads = at >= 0 ? [int.Parse(arguments[at + 1], s_culture)] : [1, 2];
        string peer = peerAt >= 0 ? arguments[peerAt + 1] : Peer;
        string[] sets = [.. arguments.Where(a => a.Contains('x', StringComparison.Ordinal) && char.IsDigit(a[0]))];
        if (sets.Length == 0) sets = ["200000x768", "1000000x384", "100000x4096"];
        foreach (string set in sets)
        {
            long[] sizes = [.. set.Split('x').Select(size => long.Parse(size, s_culture))];
            string folder = Path.Combine(Path.GetTempPath(), $"retrieval-bench-{Environment.ProcessId}");
            try
            {
                Report(folder, set, sizes[0], (int)sizes[1], threads, isQuick, peer);
            }
            finally
            {
                if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static unsafe void Report(string folder, string set, long rows, int dimensions, int[] threads, bool isQuick, string peer)
    {
        VectorSource source = new("random", rows, dimensions, static row => row.ToString(s_culture),
            (first, vectors) => Fill(vectors, dimensions, (int)first + 1));
        foreach (VectorStorage storage in (VectorStorage[])[VectorStorage.Float32, VectorStorage.Float16, VectorStorage.Int8])
            IndexBuilder.Import(source, Path.Combine(folder, storage.ToString()), Metric.InnerProduct, storage, hasCodes: storage == VectorStorage.Float32);
        float[] queries = new float[2048 * dimensions];
        Fill(queries, dimensions, seed: 0);
        int[] batches = isQuick ? [1, 16, 256] : [1, 16, 256, 2048], depths = isQuick ? [10, 100] : [10, 100, 1000];
        foreach (int count in threads)
        {
            Dictionary<(int, int), double> faiss = Faiss(peer, set, count, isQuick);
            using CpuBackend cpu = new(count);
            using Workers workers = new(count);
            using CpuMemory plain = new(PlainBytes);
            new Span<byte>(plain.Pointer, (int)PlainBytes).Fill(1);
            double bandwidth = Peak.Read(count, plain.Pointer, PlainBytes), peak = Peak.Fma(count);
            Console.WriteLine(string.Create(s_culture, $"\n{set}, {cpu.Name}; {bandwidth / 1e9:f1} GB/s, {peak / 1e9:f0} GFLOP/s"));
            Console.WriteLine($"{"storage",-9}{"scan",-6}{"queries",8}{"k",6}{"ms/query",10}{"GB/s",8}{"of read",9}{"of peak",9}"
                + $"{"proven",8}{"cand.",8}{"faiss",10}{"ratio",7}");
            foreach ((VectorStorage storage, ScanKind scan) in ((VectorStorage, ScanKind)[])
                [(VectorStorage.Float32, ScanKind.Full), (VectorStorage.Float32, ScanKind.Codes), (VectorStorage.Float16, ScanKind.Full), (VectorStorage.Int8, ScanKind.Full)])
            {
                using IndexStore store = IndexStore.Open(Path.Combine(folder, storage.ToString()));
                FlatIndex index = store.CreateIndex(cpu);
                foreach (int batch in batches)
                {
                    foreach (int k in depths) Line(index, storage, scan, queries.AsMemory(0, batch * dimensions), batch, k, workers, plain, bandwidth, peak, faiss);
                }
            }
        }
    }

    private static unsafe void Line(FlatIndex index, VectorStorage storage, ScanKind scan, ReadOnlyMemory<float> queries, int batch, int k, Workers workers, CpuMemory plain,
        double bandwidth, double peak, Dictionary<(int, int), double> faiss)
    {
        SearchOptions options = new() { Scan = scan };
        SearchResults results = index.Search(queries.Span, k, options);
        void Search() => index.Search(queries.Span, k, options);
        double seconds, ratio;
        // What the memory gives changes with the neighbours of the machine: one query and a plain read in turn.
        if (batch == 1) (seconds, _, ratio) = Timing.Pairs(Search, () => Peak.Read(workers, plain.Pointer, PlainBytes), 15);
        else (seconds, ratio) = (Timing.Median(Search, batch > 256 ? 3 : 5), double.NaN);
        int size = storage == VectorStorage.Int8 || scan == ScanKind.Codes ? 1 : storage == VectorStorage.Float16 ? 2 : 4;
        double bytes = (double)index.Rows * index.Dimensions * size, flops = 2.0 * index.Rows * index.Dimensions * batch;
        double share = batch == 1 ? ratio * bytes / PlainBytes : bytes / seconds / bandwidth;
        string proven = scan == ScanKind.Codes ? results.Proofs.Count(static p => p == SearchProof.Proven).ToString(s_culture) : "";
        string candidates = scan == ScanKind.Codes ? results.Candidates.Average().ToString("f0", s_culture) : "";
        string peer = faiss.TryGetValue((batch, k), out double theirs)
            ? string.Create(s_culture, $"{theirs,10:f3}{theirs / (seconds * 1e3 / batch),7:f2}")
            : $"{"-",10}{"-",7}";
        Console.WriteLine(string.Create(s_culture,
            $"{storage,-9}{scan,-6}{batch,8}{k,6}{seconds * 1e3 / batch,10:f3}{bytes / seconds / 1e9,8:f1}{share,9:f3}")
            + string.Create(s_culture, $"{flops / seconds / peak,9:f3}{proven,8}{candidates,8}{peer}"));
    }

    /// <summary>Milliseconds a query of faiss by batch and k; says why where there are none.</summary>
    private static Dictionary<(int Batch, int K), double> Faiss(string peer, string set, int threads, bool isQuick)
    {
        Dictionary<(int, int), double> times = [];
        if (!File.Exists(peer))
        {
            Console.WriteLine($"no faiss beside it: {peer} is not here");
            return times;
        }

        string[] options = [peer, "--threads", threads.ToString(s_culture), "--sets", set, .. isQuick ? (string[])["--quick"] : []];
        ProcessStartInfo start = new("/usr/bin/python3", options)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // As the peer's own notes ask: a preset core type halves its BLAS, and two spinning pools take each other's cores.
        start.Environment.Remove("OPENBLAS_CORETYPE");
        start.Environment.Remove("OPENBLAS_L2_SIZE");
        start.Environment["OMP_WAIT_POLICY"] = "passive";
        start.Environment["OMP_NUM_THREADS"] = start.Environment["OPENBLAS_NUM_THREADS"] = threads.ToString(s_culture);
        using Process process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        while (process.StandardOutput.ReadLine() is { } line)
        {
            string[] columns = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (line.StartsWith("faiss", StringComparison.Ordinal)) Console.WriteLine(line);
            else if (columns.Length == 7 && columns[0] == set)
                times[(int.Parse(columns[1], s_culture), int.Parse(columns[2], s_culture))] = double.Parse(columns[4], s_culture);
        }

        process.WaitForExit();
        if (times.Count == 0) Console.WriteLine("no faiss beside it: apt-get install python3-faiss");
        return times;
    }

    /// <summary>Normal vectors of length 1.</summary>
    private static void Fill(Span<float> vectors, int dimensions, int seed)
    {
        Random random = new(seed);
        for (int first = 0; first < vectors.Length; first += dimensions)
        {
            Span<float> vector = vectors.Slice(first, dimensions);
            double squares = 0;
            for (int i = 0; i < dimensions; i++)
            {
                // Irwin and Hall: a sum of four is normal enough, and quick.
                vector[i] = random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2;
                squares += vector[i] * vector[i];
            }

            float factor = (float)(1 / Math.Sqrt(squares));
            for (int i = 0; i < dimensions; i++) vector[i] *= factor;
        }
    }
}
