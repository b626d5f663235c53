using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Indexing;
using RetrievalEngine.Models;
using RetrievalEngine.Search;

namespace RetrievalEngine.Cli;

/// <summary>Exact search in an index of vectors, or in a corpus that is encoded for it: what <c>search</c> does without <c>--method bm25</c>.</summary>
/// <param name="Index">The index folder; empty for a corpus.</param>
/// <param name="Model">Where its model lies, if not where the index says.</param>
/// <param name="Adapter">Where its adapter lies, if not where the index says.</param>
/// <param name="Depth">Documents a query, at most.</param>
/// <param name="Options">Which documents, and how they are looked for.</param>
/// <param name="SkipChecksums">Trusts the index's files.</param>
internal sealed record DenseSearch(string Index, string? Model, string? Adapter, int Depth, RankOptions Options, bool SkipChecksums)
{
    private const string Tag = "dense";

    /// <summary>Encodes <paramref name="queries"/> with the model of the index and searches.</summary>
    public RunFile Search(IBackend backend, IReadOnlyList<Query> queries, bool quiet, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        CheckMemory(backend, quiet, Index, Model, Adapter);
        using DenseIndex index = DenseIndex.Open(backend, Index, !SkipChecksums, progress, stop);
        using TextEncoder encoder = index.LoadEncoder(Model, Adapter, progress, cancellation: stop);
        (string[] ids, float[] vectors) = Encode(encoder, queries, quiet, progress, stop);
        return Rank(index, ids, vectors, quiet, progress, stop);
    }

    /// <summary>Encodes <paramref name="queries"/> and, as it is read, <paramref name="corpus"/>, whose vectors are not kept.</summary>
    public RunFile Search(IBackend backend, IReadOnlyList<Query> queries, IEnumerable<Document> corpus, ContractOverrides overrides, bool quiet,
        IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        AdapterConfig? config = Adapter is { } folder ? AdapterConfig.Load(folder) : null;
        MemoryReport.Check(backend, quiet, () => MemoryPlan.Of(backend, Model!, config, TextEncoder.DefaultBatchTokens));
        EncodingContract contract = EncodingContract.For(Model!, Adapter, overrides, progress, stop);
        using TextEncoder encoder = TextEncoder.Load(backend, Model!, Adapter, contract);
        (string[] ids, float[] vectors) = Encode(encoder, queries, quiet, progress, stop);
        RunFile run = new(Tag);
        IEnumerable<(string, string)> passages = corpus.Select(d => (d.Id, contract.FormatPassage(d.Title, d.Text)));
        foreach (RankedQuery query in CorpusSearch.Rank(backend, encoder, passages, ids, vectors, Depth, Options, progress: progress, cancellation: stop))
            run.Add(query.QueryId, query.Hits.Select(static h => new ScoredDocument(h.DocId, h.Score)));
        return run;
    }

    private static (string[] Ids, float[] Vectors) Encode(TextEncoder encoder, IReadOnlyList<Query> queries, bool quiet, IProgress<ProgressUpdate> progress,
        CancellationToken stop)
    {
        string[] ids = [.. queries.Select(static q => q.Id)];
        TokenizedTexts texts = encoder.Tokenize([.. queries.Select(q => encoder.Contract.FormatQuery(q.Text, q.Prompt))], EncodingSide.Query, ids, stop);
        if (!quiet)
        {
            int longest = encoder.Contract.QueryMaxLength;
            if (texts.Truncated > 0)
                Console.Error.WriteLine($"warning: {texts.Truncated} of {ids.Length} queries are longer than {longest} tokens and were truncated");
            if (texts.Empty > 0) Console.Error.WriteLine($"warning: {texts.Empty} of {ids.Length} queries are empty");
        }

        float[] vectors = new float[(long)ids.Length * encoder.Contract.Dimensions];
        int done = 0;
        void Report(int count, int tokens) => progress.Report(new ProgressUpdate("encode queries", done += count, ids.Length, "queries"));
        encoder.Encode(texts, vectors, Report, stop);
        return (ids, vectors);
    }

    /// <summary>Searches with the query vectors in <paramref name="path"/>: a folder of embeddings, or a file of vectors, whose ids are row numbers.</summary>
    public RunFile Search(IBackend backend, string path, bool quiet, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        MemoryReport.Check(backend, quiet, () => new MemoryPlan { Index = IndexManifest.Load(Index).VectorBytes });
        using DenseIndex index = DenseIndex.Open(backend, Index, !SkipChecksums, progress, stop);
        if (File.Exists(path))
        {
            using VectorFile file = VectorFile.Open(path);
            VectorSource source = file.AsSource(idsFile: null);
            return Rank(index, [.. Enumerable.Range(0, (int)source.Rows).Select(row => source.Id(row))], index.ReadQueries(source), quiet, progress, stop);
        }

        using EmbeddingStore queries = EmbeddingStore.Open(path);
        if (!SkipChecksums) queries.Verify(progress, stop);
        string[] ids = new string[queries.Rows];
        for (int row = 0; row < ids.Length; row++) ids[row] = queries.Id(row);
        return Rank(index, ids, index.ReadQueries(queries, path), quiet, progress, stop);
    }

    /// <summary>Says what <paramref name="index"/> and the encoder of its queries will take of a device's memory, and refuses what cannot fit.</summary>
    public static void CheckMemory(IBackend backend, bool quiet, string index, string? model, string? adapter) =>
        MemoryReport.Check(backend, quiet, () => Plan(backend, index, model, adapter, TextEncoder.DefaultBatchTokens));

    /// <summary>What <paramref name="index"/> and the encoder of its queries take.</summary>
    public static MemoryPlan Plan(IBackend backend, string index, string? model, string? adapter, int batchTokens)
    {
        IndexManifest manifest = IndexManifest.Load(index);
        if ((model ?? manifest.ModelPath) is not { } encoder) return new MemoryPlan { Index = manifest.VectorBytes };
        AdapterConfig? config = (adapter ?? manifest.AdapterPath) is { } folder ? AdapterConfig.Load(folder) : null;
        return MemoryPlan.Of(backend, encoder, config, batchTokens) with { Index = manifest.VectorBytes };
    }

    private RunFile Rank(DenseIndex index, string[] ids, float[] vectors, bool quiet, IProgress<ProgressUpdate> progress, CancellationToken stop)
    {
        RunFile run = new(Tag);
        int proven = 0, rescanned = 0;
        long candidates = 0;
        foreach (RankedQuery query in index.Rank(ids, vectors, Depth, Options, progress, stop))
        {
            run.Add(query.QueryId, query.Hits.Select(static h => new ScoredDocument(h.DocId, h.Score)));
            proven += query.Proof == SearchProof.Proven ? 1 : 0;
            rescanned += query.Proof == SearchProof.Rescanned ? 1 : 0;
            candidates += query.Candidates;
        }

        if (proven + rescanned > 0 && !quiet)
        {
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{proven:N0} of {ids.Length:N0} queries proven exact by the bounds of their scan, {rescanned:N0} rescanned; ")
                + string.Create(CultureInfo.InvariantCulture, $"{candidates / (double)ids.Length:N1} candidates a query"));
        }

        return run;
    }
}
