using System;
using System.Collections.Generic;
using System.IO;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Models.Families;
using RetrievalEngine.Text;

namespace RetrievalEngine.Verification;

/// <summary>Compares hidden states and pooled vectors with those that a reference implementation computed (goldens' <c>models/</c> and <c>variants/</c>).</summary>
public sealed class ModelVerifier(IBackend backend, VerificationTolerances tolerances)
{
    private static readonly Pooling[] s_poolings = [Pooling.Last, Pooling.Cls, Pooling.Mean];

    /// <summary>Whether <paramref name="folder"/> holds a model with expected outputs.</summary>
    public static bool Accepts(string folder) => File.Exists(Path.Combine(folder, "config.json")) && ExpectedFile(folder) is not null;

    /// <summary>One item for each configuration file (transformers 4's, and 5's where it is there) and measure.</summary>
    public IEnumerable<VerificationItem> Verify(string folder, string item)
    {
        if (ModelFamilies.Unsupported(folder) is { } reason)
        {
            yield return VerificationItem.Skip(item, reason);
            yield break;
        }

        foreach (string config in (string[])["config.json", "config.v5.json"])
        {
            string path = Path.Combine(folder, config);
            if (!File.Exists(path)) continue;
            foreach (VerificationItem result in Run.Guarded($"{item} {config}", () => Compare(folder, path, $"{item} {config}"))) yield return result;
        }
    }

    private static string? ExpectedFile(string folder)
    {
        string beside = Path.Combine(folder, "expected.safetensors"), meta = Path.Combine(folder, "meta.json");
        if (File.Exists(beside)) return beside;
        if (!File.Exists(meta) || JsonFields.Read(meta).TextOrNull("expected") is not { } relative) return null;
        for (DirectoryInfo? d = new(Path.GetFullPath(folder)); d is not null; d = d.Parent)
        {
            string path = Path.Combine(d.FullName, relative);
            if (File.Exists(path)) return path;
        }

        return null;
    }

    private List<VerificationItem> Compare(string folder, string config, string item)
    {
        using Transformer model = Transformer.Load(backend, folder, config);
        using SafeTensorsFile expected = SafeTensorsFile.Open(ExpectedFile(folder)!);
        using Arena arena = new(backend);
        List<int[]> sequences = Sequences.Read(expected, "input_ids", "cu_seqlens");
        PackedBatch batch = PackedBatch.Pack(sequences);
        Tensor hidden = model.Forward(batch, arena), wide = arena.Allocate(hidden.Shape);
        backend.Cast(hidden, wide);
        float[] actual = backend.ToArray(wide), wanted = expected.ReadFloat32("last_hidden_state");
        double worst = 0;
        for (int b = 0; b < batch.Sequences; b++)
        {
            int start = batch.CuSeqLens[b] * model.HiddenSize, length = sequences[b].Length * model.HiddenSize;
            worst = Math.Max(worst, Distance.RelativeL2(actual.AsSpan(start, length), wanted.AsSpan(start, length)));
        }

        List<VerificationItem> items = [VerificationItem.Of(item, "hidden states", worst, tolerances.Hidden)];
        Tensor cuSeqLens = arena.Allocate(new Shape(batch.CuSeqLens.Length), DType.I32), pooled = arena.Allocate(new Shape(batch.Sequences, model.HiddenSize));
        Tensor norms = arena.Allocate(new Shape(batch.Sequences));
        backend.Upload<int>(batch.CuSeqLens, cuSeqLens);
        foreach (Pooling pooling in s_poolings)
        {
            backend.PoolForward(hidden, cuSeqLens, pooling, pooled);
            backend.L2NormalizeForward(pooled, pooled, norms);
            string name = $"pooled_{Lower(pooling)}";
            items.Add(VerificationItem.Of(item, name, Distance.WorstRow(backend.ToArray(pooled), expected.ReadFloat32(name), model.HiddenSize), tolerances.Hidden));
        }

        return items;
    }

    private static string Lower(Pooling pooling) => pooling switch { Pooling.Last => "last", Pooling.Cls => "cls", _ => "mean" };
}
