using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Training;

/// <summary>
/// The output folder of a run: <c>training_run.json</c> says what run it is, <c>checkpoint-N/</c> holds usable weights beside the optimiser's state, and the finished weights lie
/// in the folder itself. Every checkpoint appears whole or not at all.
/// </summary>
internal sealed class TrainingCheckpoints(IBackend backend, TrainingJob job, int totalSteps)
{
    private const string RunFile = "training_run.json", StateFile = "training_state.safetensors", ScaleName = "loss_scale", Prefix = "checkpoint-";
    private string RunPath => Path.Combine(job.OutputFolder, RunFile);

    /// <summary>Loads the last checkpoint into <paramref name="block"/> and <paramref name="scale"/> and returns its step; 0 where none was written yet.</summary>
    /// <exception cref="InputException">The folder holds another run.</exception>
    public int Restore(ParameterBlock block, LossScale scale)
    {
        if (!File.Exists(RunPath)) return 0;
        JsonFields run = JsonFields.Read(RunPath);
        foreach ((string field, string value) in Identity())
        {
            string stored = run.TextOrNull(field) ?? "";
            if (stored != value) throw new InputException($"{job.OutputFolder} holds another run: {field} was \"{stored}\" and is now \"{value}\"; resume with the same options or name another --output");
        }

        if (run.Flag("finished", false)) return totalSteps;
        if (Steps().LastOrDefault() is not (> 0 and int step)) return 0;
        using SafeTensorsFile state = SafeTensorsFile.Open(Path.Combine(FolderOf(step), StateFile));
        foreach ((string name, Tensor tensor) in block.State)
        {
            float[] values = state.ReadFloat32(name);
            if (values.Length != tensor.Count) throw new InputException($"{state.Path}: \"{name}\" has {values.Length} elements but the model has {tensor.Count} to train");
            backend.Upload<float>(values, tensor);
        }

        if (scale.IsDynamic && state.Contains(ScaleName)) scale.State = state.ReadFloat32(ScaleName);
        return step;
    }

    /// <summary>Makes the folder a run's own before its first step. Unless it resumes at <paramref name="start"/>, the folder must be new or empty, or hold this run without a checkpoint.</summary>
    public void Begin(int start)
    {
        if (File.Exists(job.OutputFolder)) throw new InputException($"{job.OutputFolder} is a file; --output must name a folder");
        bool occupied = Directory.Exists(job.OutputFolder) && Directory.EnumerateFileSystemEntries(job.OutputFolder).Any();
        if (start == 0 && occupied && (!File.Exists(RunPath) || Steps().Any()))
            throw new InputException($"{job.OutputFolder} is not empty; name a new folder, or go on with the run in it by --resume");
        if (start == totalSteps) return;
        WriteRun(finished: false);
    }

    /// <summary>Writes <c>checkpoint-<paramref name="step"/></c> and deletes those beyond the limit.</summary>
    public void Save(ParameterBlock block, LossScale scale, int step)
    {
        if (step == 0 || Directory.Exists(FolderOf(step))) return;
        AtomicFile.CreateFolder(FolderOf(step), folder =>
        {
            job.SaveWeights(folder);
            List<TensorSource> state = [.. block.State.Select(s => TensorSource.FromTensor(s.Name, backend, s.Tensor, DType.F32))];
            if (scale.IsDynamic) state.Add(TensorSource.FromFloat32(ScaleName, new Shape(scale.State.Length), scale.State));
            SafeTensorsWriter.Write(Path.Combine(folder, StateFile), state);
        });
        foreach (int old in Steps().SkipLast(Math.Max(1, job.Options.SaveTotalLimit)).ToArray()) Directory.Delete(FolderOf(old), recursive: true);
    }

    /// <summary>Writes the trained weights into the folder itself and marks the run finished.</summary>
    public void Finish(ParameterBlock block, LossScale scale, int step)
    {
        if (File.Exists(RunPath) && JsonFields.Read(RunPath).Flag("finished", false)) return;
        if (job.Options.SaveSteps > 0) Save(block, scale, step);
        job.SaveWeights(job.OutputFolder);
        WriteRun(finished: true);
    }

    private IEnumerable<(string Field, string Value)> Identity()
    {
        yield return ("compute_dtype", EmbeddingManifest.DTypeName(backend.ActivationDType));
        foreach ((string field, string value) in job.Identity) yield return (field, value);
        TrainingOptions o = job.Options;
        yield return ("total_steps", totalSteps.ToString(CultureInfo.InvariantCulture));
        yield return ("data", FormattableString.Invariant($"{o.BatchSize} x {o.TrainGroupSize} x {o.AccumulationSteps}, seed {o.Seed}, shuffle {o.Shuffle}, mask {o.MaskKnownPositives}"));
        yield return ("optimizer", FormattableString.Invariant(
            $"{o.Schedule} {o.LearningRate} warmup {o.WarmupSteps} {o.WarmupRatio} decay {o.WeightDecay} {o.SpareNormsAndBiases} betas {o.Beta1} {o.Beta2} {o.Epsilon} clip {o.MaxGradNorm}"));
        foreach ((string field, string value) in job.Task.Identity) yield return (field, value);
    }

    private IEnumerable<int> Steps()
    {
        if (!Directory.Exists(job.OutputFolder)) return [];
        return Directory.EnumerateDirectories(job.OutputFolder, Prefix + "*")
            .Select(path => int.TryParse(Path.GetFileName(path).AsSpan(Prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out int step) ? step : 0)
            .Where(step => step > 0)
            .Order();
    }

    private string FolderOf(int step) => Path.Combine(job.OutputFolder, Prefix + step.ToString(CultureInfo.InvariantCulture));

    private void WriteRun(bool finished) => AtomicFile.Write(RunPath, stream =>
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        foreach ((string field, string value) in Identity()) json.WriteString(field, value);
        json.WriteBoolean("finished", finished);
        json.WriteEndObject();
    });
}
