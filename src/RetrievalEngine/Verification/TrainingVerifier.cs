using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Models.Families;
using RetrievalEngine.Training;

namespace RetrievalEngine.Verification;

/// <summary>Compares loss, scores, every LoRA and full gradient and five AdamW steps with a reference implementation's (goldens' <c>training/</c>).</summary>
public sealed class TrainingVerifier(IBackend backend, VerificationTolerances tolerances)
{
    /// <summary>Whether <paramref name="folder"/> holds a recorded training.</summary>
    public static bool Accepts(string folder) => File.Exists(Path.Combine(folder, "recipe.json")) && File.Exists(Path.Combine(folder, "expected_lora.safetensors"));

    /// <summary>Items for the LoRA and the full training of the model <c>../../models/NAME</c>.</summary>
    public IEnumerable<VerificationItem> Verify(string folder, string item)
    {
        string model = Path.Combine(folder, "..", "..", "models", Path.GetFileName(Path.GetFullPath(folder).TrimEnd(Path.DirectorySeparatorChar)));
        if (ModelFamilies.Unsupported(model) is { } reason) return [VerificationItem.Skip(item, reason)];
        return Run.Guarded($"{item} LoRA", () => Lora(folder, model, $"{item} LoRA"))
            .Concat(Run.Guarded($"{item} full", () => Full(folder, model, $"{item} full")));
    }

    private List<VerificationItem> Lora(string folder, string modelFolder, string item)
    {
        Batch batch = Batch.Read(folder);
        using SafeTensorsFile expected = SafeTensorsFile.Open(Path.Combine(folder, "expected_lora.safetensors"));
        using Transformer model = Transformer.Load(backend, modelFolder);
        LoraWeights.Load(backend, model, Path.Combine(folder, "adapter"));
        using ParameterBlock block = new(backend, model.LoraParameters);
        Dictionary<string, float[]> start = block.Parameters.ToDictionary(p => p.Name, p => backend.ToArray(p.Value));
        using ContrastiveStep step = new(backend, model, batch.Options);
        List<VerificationItem> items = [];
        double worstLoss = 0;
        for (int i = 0; i < batch.Steps; i++)
        {
            block.ZeroGradients();
            ContrastiveResult result = step.Run(batch.Queries, batch.Passages, batch.Targets, excluded: [], seed: 0, keepScores: i == 0);
            float loss = expected.ReadFloat32($"loss.{i}")[0];
            worstLoss = Math.Max(worstLoss, RelativeError(result.Loss, loss));
            if (i == 0)
            {
                items.Add(VerificationItem.Of(item, "scores", Distance.RelativeL2(result.Scores, expected.ReadFloat32("scores")), tolerances.Scores));
                items.AddRange(Gradients(item, model, block, expected, LoraWeights.PeftName));
            }

            block.Step(batch.Optimizer with { Step = i + 1 });
        }

        items.Add(VerificationItem.Of(item, $"losses of {batch.Steps} steps", worstLoss, tolerances.Loss));
        double worst = 0;
        string? worstName = null;
        foreach (Parameter parameter in block.Parameters)
        {
            float[] wanted = expected.ReadFloat32($"step{batch.Steps}.{LoraWeights.PeftName(parameter.Name)}"), moved = Difference(wanted, start[parameter.Name]);
            double distance = Distance.Norm(Difference(backend.ToArray(parameter.Value), wanted)) / Math.Max(Distance.Norm(moved), double.Epsilon);
            if (distance >= worst || double.IsNaN(distance)) (worst, worstName) = (distance, parameter.Name);
        }

        items.Add(VerificationItem.Of(item, $"weights after {batch.Steps} steps", worst, tolerances.Steps, $"worst: {worstName}"));
        return items;
    }

    private List<VerificationItem> Full(string folder, string modelFolder, string item)
    {
        Batch batch = Batch.Read(folder);
        using SafeTensorsFile expected = SafeTensorsFile.Open(Path.Combine(folder, "expected_full.safetensors"));
        using Transformer model = Transformer.Load(backend, modelFolder, exact: true);
        using ParameterBlock block = new(backend, model.Parameters);
        using ContrastiveStep step = new(backend, model, batch.Options);
        ContrastiveResult result = step.Run(batch.Queries, batch.Passages, batch.Targets, excluded: [], seed: 0);
        return
        [
            VerificationItem.Of(item, "loss", RelativeError(result.Loss, expected.ReadFloat32("loss")[0]), tolerances.Loss),
            .. Gradients(item, model, block, expected, name => name),
        ];
    }

    private IEnumerable<VerificationItem> Gradients(string item, Transformer model, ParameterBlock block, SafeTensorsFile expected, Func<string, string> nameOf) =>
        GradientComparison.Compare(item, backend, block, expected, nameOf, model.Config.ModelType == "t5" ? tolerances.T5Gradients : tolerances.Gradients, tolerances.ZeroGradients);

    private static float[] Difference(float[] a, float[] b)
    {
        if (a.Length != b.Length) throw new InputException("two tensors that should be compared have different sizes");
        float[] difference = new float[a.Length];
        for (int i = 0; i < a.Length; i++) difference[i] = a[i] - b[i];
        return difference;
    }

    private static double RelativeError(double actual, double expected) => Math.Abs(actual - expected) / Math.Max(Math.Abs(expected), 1e-30);

    private sealed record Batch(List<int[]> Queries, List<int[]> Passages, int[] Targets, ContrastiveOptions Options, AdamW Optimizer, int Steps)
    {
        public static Batch Read(string folder)
        {
            JsonFields recipe = JsonFields.Read(Path.Combine(folder, "recipe.json"));
            using SafeTensorsFile file = SafeTensorsFile.Open(Path.Combine(folder, "batch.safetensors"));
            List<int[]> queries = Sequences.Read(file, "query_ids", "query_cu_seqlens"), passages = Sequences.Read(file, "passage_ids", "passage_cu_seqlens");
            int group = 1 + recipe.Int("negatives_per_query", 0, 10_000);
            Pooling pooling = recipe.Text("pooling") switch
            {
                "last" => Pooling.Last,
                "cls" => Pooling.Cls,
                "mean" => Pooling.Mean,
                string other => throw recipe.Error("pooling", $"is \"{other}\"; last, cls or mean is expected"),
            };
            JsonFields adamW = recipe.ObjectOrNull("adamw") ?? throw recipe.Error("adamw", "is missing");
            return new Batch(
                queries, passages, [.. Enumerable.Range(0, queries.Count).Select(i => i * group)],
                new ContrastiveOptions(pooling, Normalize: true, (float)recipe.Number("temperature", 1e-6, 1e6)),
                new AdamW((float)recipe.Number("learning_rate", 0, 1), Epsilon: (float)adamW.Number("eps", 0, 1), WeightDecay: (float)adamW.Number("weight_decay", 0, 1)),
                recipe.Int("steps", 1, 100));
        }
    }
}
