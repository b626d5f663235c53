using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Tasks;
using RetrievalEngine.Compute;
using RetrievalEngine.Data;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Encodes a file of texts into a folder of vectors, shard by shard. The texts of the next shard are tokenised while the model works on this one.
/// What lies in a shard depends on its own texts alone, so that a run that was stopped and one that was not write the same bytes.
/// </summary>
public static class CorpusEncoder
{
    private const int SurveyReport = 10_000;

    /// <summary>A shard is in memory as a whole: 1 GiB of float32.</summary>
    private const long MaxShardElements = 1 << 28;

    /// <summary>Does what <paramref name="options"/> say, or goes on with it, or finds it done.</summary>
    /// <exception cref="InputException">The input, the model or the output cannot be used.</exception>
    /// <exception cref="OperationCanceledException">Stopped; finished shards are there for the next run.</exception>
    public static EncodeSummary Run(
        IBackend backend, EncodeOptions options, IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(options);
        EmbeddingWriter.RefuseForeign(options.Output);
        EncodingContract contract = EncodingContract.For(options.Model, options.Adapter, options.Overrides, progress, cancellation);
        if ((long)options.RowsPerShard * contract.Dimensions > MaxShardElements)
        {
            long most = MaxShardElements / contract.Dimensions;
            throw new InputException(
                $"shards of {options.RowsPerShard} vectors of {contract.Dimensions} numbers are too large; ask for at most {most} rows");
        }

        EmbeddingManifest plan = new()
        {
            Side = options.Side,
            Contract = contract,
            DType = options.DType,
            ModelPath = Path.GetFullPath(options.Model),
            AdapterPath = options.Adapter is null ? null : Path.GetFullPath(options.Adapter),
            Source = Survey(options, progress, cancellation),
            RowsPerShard = options.RowsPerShard,
        };
        using EmbeddingWriter writer = EmbeddingWriter.Open(options.Output, plan, cancellation);
        if (writer.Manifest.Complete) return new EncodeSummary(writer.Manifest, 0, 0, 0);
        using TextEncoder encoder = TextEncoder.Load(backend, options.Model, options.Adapter, contract, options.BatchTokens);
        return Encode(encoder, writer, Read(options), progress, cancellation);
    }

    private static EncodeSummary Encode(
        TextEncoder encoder, EmbeddingWriter writer, IEnumerable<Document> documents, IProgress<ProgressUpdate>? progress,
        CancellationToken cancellation)
    {
        EmbeddingManifest manifest = writer.Manifest;
        long firstRow = manifest.Rows, done = firstRow, tokens = 0;
        progress?.Report(new ProgressUpdate("encode", done, manifest.Source.Rows, "texts"));
        Stopwatch clock = Stopwatch.StartNew();
        using IEnumerator<Document[]> shards = documents.Skip(checked((int)firstRow)).Chunk(manifest.RowsPerShard).GetEnumerator();
        Task<Shard?> next = PrepareAsync(encoder, manifest.Side, shards, cancellation);
        try
        {
            while (next.GetAwaiter().GetResult() is { } shard)
            {
                next = PrepareAsync(encoder, manifest.Side, shards, cancellation);
                float[] vectors = new float[shard.Ids.Length * encoder.Contract.Dimensions];
                encoder.Encode(shard.Texts, vectors, (texts, batchTokens) =>
                {
                    tokens += batchTokens;
                    string rate = string.Create(CultureInfo.InvariantCulture, $"{tokens / clock.Elapsed.TotalSeconds:N0} tokens/s");
                    progress?.Report(new ProgressUpdate("encode", done += texts, manifest.Source.Rows, "texts", rate));
                }, cancellation);
                writer.Append(shard.Ids, (row, rows) => vectors.AsSpan(row * encoder.Contract.Dimensions, rows.Length).CopyTo(rows),
                    shard.Texts.Tokens, shard.Texts.Truncated, shard.Texts.Empty);
            }
        }
        finally
        {
            // It reads the input and must not outlive it; how it ended matters only above.
            Task.WaitAny([next], CancellationToken.None);
        }

        if (writer.Manifest.Rows != manifest.Source.Rows)
            throw new InputException($"{manifest.Source.Path} was changed while it was encoded; run the command again");
        writer.Complete();
        return new EncodeSummary(writer.Manifest, done - firstRow, tokens, clock.Elapsed.TotalSeconds);
    }

    private static Task<Shard?> PrepareAsync(
        TextEncoder encoder, EncodingSide side, IEnumerator<Document[]> shards, CancellationToken cancellation) =>
        Task.Run(() => Prepare(encoder, side, shards, cancellation), CancellationToken.None);

    /// <summary>The next shard, tokenised; null behind the last.</summary>
    private static Shard? Prepare(TextEncoder encoder, EncodingSide side, IEnumerator<Document[]> shards, CancellationToken cancellation)
    {
        if (!shards.MoveNext()) return null;
        string[] ids = [.. shards.Current.Select(static d => d.Id)];
        EncodingContract contract = encoder.Contract;
        string[] texts =
            [.. shards.Current.Select(d => side == EncodingSide.Query ? contract.FormatQuery(d.Text, d.Title.Length > 0 ? d.Title : null) : contract.FormatPassage(d.Title, d.Text))];
        return new Shard(ids, encoder.Tokenize(texts, side, ids, cancellation));
    }

    /// <summary>Reads the whole input once: counts the texts, hashes them, and finds what is wrong with it before anything is written.</summary>
    private static EmbeddingSource Survey(EncodeOptions options, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long rows = 0;
        foreach (Document document in Read(options))
        {
            cancellation.ThrowIfCancellationRequested();
            ContentHash.Append(hash, document.Id);
            ContentHash.Append(hash, document.Title);
            ContentHash.Append(hash, document.Text);
            if (++rows % SurveyReport == 0) progress?.Report(new ProgressUpdate("read input", rows, 0, "texts"));
        }

        return new EmbeddingSource(Path.GetFullPath(options.Input), ContentHash.Hex(hash.GetHashAndReset()), rows);
    }

    // A query's prompt lies where a passage has its title.
    private static IEnumerable<Document> Read(EncodeOptions options) => options.Side == EncodingSide.Query
        ? Queries.Read(options.Input).Select(static q => new Document(q.Id, q.Prompt ?? "", q.Text))
        : Corpus.Read(options.Input);

    private sealed record Shard(string[] Ids, TokenizedTexts Texts);
}
