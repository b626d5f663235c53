using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Models;
using RetrievalEngine.Models.Families;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Verification;

/// <summary>Compares scores, loss and gradients of a reranker with its adapter with a reference implementation's (goldens' <c>reranker/</c>).</summary>
public sealed class RerankerVerifier(IBackend backend, VerificationTolerances tolerances)
{
    /// <summary>Whether <paramref name="folder"/> holds a recorded step of a reranker.</summary>
    public static bool Accepts(string folder) =>
        ((string[])["recipe.json", "batch.safetensors", "config.json", "expected.safetensors"]).All(name => File.Exists(Path.Combine(folder, name)));

    /// <summary>Items for the scores by inference and by training, the loss and the gradients.</summary>
    public IEnumerable<VerificationItem> Verify(string folder, string item) => Run.Guarded(item, () => Compare(folder, item));

    private List<VerificationItem> Compare(string folder, string item)
    {
        JsonFields recipe = JsonFields.Read(Path.Combine(folder, "recipe.json"));
        int groups = recipe.Int("groups", 1, 1 << 16), size = recipe.Int("group_size", 1, 1 << 16);
        using SafeTensorsFile batch = SafeTensorsFile.Open(Path.Combine(folder, "batch.safetensors"));
        using SafeTensorsFile expected = SafeTensorsFile.Open(Path.Combine(folder, "expected.safetensors"));
        List<int[]> ids = Sequences.Read(batch, "input_ids", "cu_seqlens");
        List<int[]> types = batch.Contains("token_type_ids") ? Sequences.Read(batch, "token_type_ids", "cu_seqlens") : [.. ids.Select(i => new int[i.Length])];
        string adapter = Path.Combine(folder, "adapter");
        using Transformer model = Transformer.LoadReranker(backend, folder, adapter);
        float[] wanted = expected.ReadFloat32("scores");
        using Arena arena = new(backend);
        float[] inferred = backend.ToArray(model.Score(PackedBatch.Pack(ids, types), arena));
        using ParameterBlock block = new(backend, [.. model.LoraParameters, .. LoraWeights.SavedParameters(model, AdapterConfig.Load(adapter))]);
        using RerankingStep step = new(backend, model);
        (float loss, float[] scores) = step.Run([.. ids.Select((text, i) => new TokenPair(text, types[i]))], [.. Enumerable.Repeat(size, groups)], seed: 0);
        float wantedLoss = expected.ReadFloat32("loss")[0];
        return
        [
            VerificationItem.Of(item, "scores", Distance.RelativeL2(inferred, wanted), tolerances.Scores),
            VerificationItem.Of(item, "scores in training", Distance.RelativeL2(scores, wanted), tolerances.Scores),
            VerificationItem.Of(item, "loss", Math.Abs(loss - wantedLoss) / Math.Abs(wantedLoss), tolerances.Loss),
            .. GradientComparison.Compare(item, backend, block, expected, NameOf, tolerances.Gradients, tolerances.ZeroGradients),
        ];

        string NameOf(string name)
        {
            string stored = LoraWeights.PeftName(ScoreHeads.Of(model.Config.ModelType).StoredName(name));
            return model.Head!.Parameters.Any(p => p.Name == name) ? stored.Insert(stored.LastIndexOf('.'), ".modules_to_save") : stored;
        }
    }
}
