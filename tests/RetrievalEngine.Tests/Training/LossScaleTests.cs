using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Cuda;
using RetrievalEngine.Data;
using RetrievalEngine.Models;
using RetrievalEngine.TestKit;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Training;

[TestFixture]
internal sealed class LossScaleTests
{
    [Test]
    public void HalvesOnOverflow_DoublesAfterManyGoodSteps()
    {
        LossScale scale = new(DType.F16);
        Assert.That((scale.Value, scale.IsDynamic), Is.EqualTo((65536f, true)));
        Assert.That(scale.Accept(float.PositiveInfinity), Is.False);
        Assert.That(scale.Accept(float.NaN), Is.False);
        Assert.That(scale.Value, Is.EqualTo(16384f));
        LossScale resumed = new(DType.F16);
        for (int i = 0; i < 1000; i++) Assert.That(scale.Accept(1), Is.True);
        resumed.State = scale.State;
        for (int i = 1000; i < 1999; i++) Assert.That(resumed.Accept(1), Is.True);
        Assert.That(resumed.Value, Is.EqualTo(16384f));
        Assert.That(resumed.Accept(1), Is.True);
        Assert.That(resumed.Value, Is.EqualTo(32768f));
    }

    [Test]
    public void AtOne_OverflowIsNotItsFault()
    {
        LossScale scale = new(DType.F16);
        for (int i = 0; i < 16; i++) Assert.That(scale.Accept(float.PositiveInfinity), Is.False);
        Assert.That(scale.Value, Is.EqualTo(1));
        Assert.That(scale.Accept(float.PositiveInfinity), Is.True);
    }

    [TestCase(DType.F32)]
    [TestCase(DType.BF16)]
    public void OtherTypes_NeedNone(DType dtype)
    {
        LossScale scale = new(dtype);
        Assert.That(scale.Accept(float.PositiveInfinity), Is.True);
        Assert.That((scale.Value, scale.IsDynamic), Is.EqualTo((1f, false)));
    }

    /// <summary>
    /// A task whose gradient is the scale times 1, and overflows above 1,000: the step is done again until it does not, and the rest is as without a scale.
    /// </summary>
    [Test]
    public void Trainer_RepeatsAStepThatOverflows()
    {
        if (CudaLibrary.Missing is { } reason) Assert.Ignore(reason);
        Assert.That(CudaBackend.TryCreate(0, DType.F16, out CudaBackend? backend, out reason), reason);
        using CudaBackend owned = backend!;
        using DeviceMemory memory = owned.Allocate(sizeof(float)), report = owned.Allocate(sizeof(float));
        Parameter parameter = new("p", new Tensor(memory, 0, new Shape(1), DType.F32));
        owned.Fill(parameter.Value, 0);
        using TempFolder folder = new();
        using OverflowingTask task = new(owned, parameter, new Tensor(report, 0, new Shape(1), DType.F32));
        TrainingJob job = new()
        {
            Data = [.. Enumerable.Range(0, 4).Select(i => new TrainingRow($"{i}", "q", [new Document("d", "", "text")], []))],
            Trained = [parameter],
            Task = task,
            Options = new TrainingOptions { BatchSize = 2, MaxSteps = 2, SaveSteps = 1, AccumulationSteps = 2, TrainGroupSize = 1 },
            OutputFolder = folder.File("run"),
            Identity = new Dictionary<string, string>(),
            SaveWeights = _ => { },
        };
        new Trainer(owned, job).Run(resume: false, progress: null, CancellationToken.None);

        // 65,536 is halved until a micro-batch's half of it is below 1,000; from then on each of two steps has two micro-batches.
        Assert.That(task.Scales.Distinct(), Is.EqualTo(Enumerable.Range(0, 7).Select(i => 32768f / (1 << i))));
        Assert.That(task.Scales.Count(scale => scale == 512), Is.EqualTo(4));
        string[] log = File.ReadAllLines(folder.File(Path.Combine("run", "log.jsonl")));
        Assert.That(log, Has.Length.EqualTo(2).And.All.Contains("\"grad_norm\":1,"));
        using SafeTensorsFile state = SafeTensorsFile.Open(folder.File(Path.Combine("run", "checkpoint-2", "training_state.safetensors")));
        Assert.That(state.ReadFloat32("loss_scale"), Is.EqualTo(new float[] { 1024, 2 }));
    }

    private sealed class OverflowingTask(IBackend backend, Parameter parameter, Tensor report) : ITrainingTask
    {
        public List<float> Scales { get; } = [];

        public IReadOnlyList<(string Field, string Value)> Identity => [];

        public string MeasureName => "measure";

        public string Collapse => "collapses";

        public PreparedBatch Prepare(IReadOnlyList<TrainingRow> rows, IReadOnlyList<IReadOnlyList<Document>> groups) => new(Tokens: 1, Masked: 0, (_, scale) =>
        {
            Scales.Add(scale);
            float gradient = backend.ToArray(parameter.Gradient)[0] + (scale > 1000 ? float.PositiveInfinity : scale);
            backend.Fill(parameter.Gradient, gradient);
            return new Pending<StepResult>(report, _ => new StepResult(Loss: 1, Measure: 0, IsCollapsed: false));
        });

        public void Dispose()
        {
        }
    }
}
