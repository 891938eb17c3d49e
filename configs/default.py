"""Every field once. Variants are deltas on this file.

  python train.py --config configs/default.py --config.data.path=RECORDS --workdir runs/default

LIA-X of base size at 256 px, on clips written by `liax prepare`. The objective is the paper's
(eq. 9), stabilised with what the field uses today; `configs/lia_recipe.py` holds LIA's published
recipe exactly.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.seed = 0  # of parameters and augmentation

    # The animator (Sec. 3, 4.1, 4.2); liax_jax/models/config.py explains each field.
    config.model = ConfigDict()
    config.model.family = "lia_x"  # "lia_x" or its dense predecessor "lia"
    config.model.resolution = 256  # pixels; power of two, 32 or more
    config.model.width = 0.5  # channel multiplier s; style width D = max_channels · s
    config.model.num_blocks = 3  # residual blocks per level, N
    config.model.num_vectors = 20  # motion vectors in the dictionary, M
    config.model.groups = 32  # of the GroupNorm in the flow blocks
    config.model.base_channels = 64  # channels at the finest level, per unit of width
    config.model.max_channels = 512  # bound at the coarse levels, per unit of width
    config.model.flow_init = "published"  # or "identity": start at the identity warp
    config.model.use_mask = True  # False: nothing of the warped features is hidden (ablation)
    config.model.dtype = "float32"  # or "bfloat16" arithmetic; parameters stay float32
    config.model.scan_blocks = False  # blocks of a level as one loop: less to compile
    config.model.remat = "none"  # "blocks" or "levels": computed again in the backward pass

    # Weights of the terms (eq. 9). A weight of 0 leaves the term, and its network, out.
    config.loss = ConfigDict()
    config.loss.l1 = 1.0
    config.loss.perceptual = 1.0  # λ₁ (LIA's own trainer has 1, times layer_weights below)
    config.loss.adversarial = 1.0
    # λ₂; not published. Not tuned at this size: docs/interpretability.md has what it does, and
    # costs, in small models.
    config.loss.sparsity = 0.1
    # What λ₂ weighs: "l1", mean |α|; "hoyer", ‖α‖₁ / ‖α‖₂ of each frame, free of scale; "topk",
    # mean |α| of all but the sparsity_top_k largest of each frame; "standardized",
    # mean |α| of each vector over how far it moves within clips, a matter of shape alone.
    config.loss.sparsity_penalty = "l1"
    config.loss.sparsity_top_k = 3  # of "topk" alone
    config.loss.sparsity_ramp_steps = 0  # λ₂ (and source_code) grows from 0 over so many steps
    # (first, last): it falls back to 0 between these two steps; empty = never. α grows back to what
    # reconstruction wants; nothing holds the axes then.
    config.loss.sparsity_release = ()
    # Deviation of Gaussian noise on α in training: small coefficients then carry nothing.
    config.loss.code_noise = 0.0
    config.loss.source_code = 0.0  # mean |Qᵀ z_s2r|: the source's own motion, along the vectors
    config.loss.l1_scales = 1  # 1 = plain L1; n = mean over n halvings

    config.perceptual = ConfigDict()
    # Path of torchvision's vgg19 weights, "imported" (by `liax weights import vgg19`) or "random".
    config.perceptual.weights = ""
    config.perceptual.layer_weights = (10.0, 10.0, 10.0, 10.0, 10.0)  # relu1_1 … relu5_1
    config.perceptual.scales = (1, 2, 4, 8)  # picture reductions compared

    config.discriminator = ConfigDict()
    config.discriminator.width = 1.0  # channel multiplier; 1 = StyleGAN2's
    config.discriminator.stddev_group = 4  # minibatch standard deviation; 0 = off
    config.discriminator.r1_weight = 10.0  # γ of γ/2·‖∇D‖²; 0 = off
    config.discriminator.r1_interval = 16  # lazy: every n-th step, times n

    # Adam. LIA's rates (0.002, β₂ 0.99) with the correction for lazy regularisation.
    config.generator_optimizer = ConfigDict()
    config.generator_optimizer.learning_rate = 0.0016
    config.generator_optimizer.b1 = 0.0
    config.generator_optimizer.b2 = 0.992
    config.generator_optimizer.eps = 1e-8
    config.generator_optimizer.warmup_steps = 1000  # linear from 0
    config.generator_optimizer.decay_to = 1.0  # cosine to this fraction at the last step; 1 = none
    config.generator_optimizer.clip_norm = 10.0  # global norm of the gradients; 0 = off
    config.discriminator_optimizer = config.generator_optimizer.copy_and_resolve_references()
    config.discriminator_optimizer.learning_rate = 0.0008
    config.discriminator_optimizer.b2 = 0.9906

    config.ema_decay = 0.999  # of the generator's parameters, reached gradually; 0 = off

    config.data = ConfigDict()
    config.data.kind = "records"  # "records" (liax prepare) or "procedural" (drawn from seeds)
    config.data.path = ""  # of the records; or several by name, and the share of each:
    config.data.paths = ConfigDict()  # {"vox": "records/vox", "hdtf": "records/hdtf"}
    config.data.mixture = ConfigDict()  # {"vox": 0.4, "hdtf": 0.2}, in any unit; empty = path alone
    config.data.clip_sampling = "uniform"  # each clip once an epoch, or by "length" in frames
    config.data.balance_identities = False  # every identity of a source equally often
    config.data.skip_damaged = False  # go on without damaged clips and frames, counted and said
    config.data.train_split = "train"
    config.data.eval_split = "val"
    config.data.seed = 0  # of the order of clips and frames, and of procedural portraits
    config.data.flip = False  # mirror source and driving together, half of the time
    config.data.num_workers = 0  # processes that read and decode; 0 = threads of this process
    config.data.procedural = ConfigDict()
    config.data.procedural.seed = -1  # of people and motion; -1 = data.seed
    config.data.procedural.num_clips = 1000  # identities seen in training
    config.data.procedural.num_eval_clips = 8  # identities never seen in training
    config.data.procedural.frames_per_clip = 128
    # Of every factor over time: "natural", or independent ones, "resting" (mostly still),
    # "laplacian", "gaussian" or "uniform".
    config.data.procedural.distribution = "natural"
    config.data.procedural.moving = ()  # the factors that move, ("yaw", "jaw", …); empty = all
    config.data.procedural.people = "varied"  # or "plain": they differ in colours and hair alone
    # Folder that keeps drawn frames, for other runs to read; empty = draw them whenever needed.
    config.data.procedural.keep_in = ""

    config.train_steps = 800_000
    config.max_minutes = 0.0  # of training; stops earlier, saved. 0 = no limit
    # Devices. Batches are split over both axes, parameters and optimiser over fsdp alone.
    config.mesh = ConfigDict()
    config.mesh.data = -1  # -1: as many as there are
    config.mesh.fsdp = 1

    # Processes. See liax_jax/training/distributed.py: initialize.
    config.distributed = ConfigDict()
    config.distributed.initialize = "auto"  # or "explicit", by the next three fields, or "none"
    config.distributed.coordinator_address = ""  # HOST:PORT of the first process
    config.distributed.num_processes = -1
    config.distributed.process_id = -1  # 0 to num_processes - 1
    config.distributed.start_timeout_seconds = 300
    config.distributed.heartbeat_timeout_seconds = 100  # then a silent process counts as lost

    config.batch_size = 64  # pairs of frames, over all devices
    config.accumulation_steps = 1  # micro-batches per step
    config.max_nonfinite_steps = 20  # skipped in a row before the run ends with an error

    config.log_every = 100  # steps; metrics to JSON lines and TensorBoard
    config.panel_every = 1000  # picture of source, driving, reconstruction, flow, mask, α
    config.video_every = 5000  # reenactment of an evaluation clip
    config.profile_steps = ""  # "10:15" traces steps 10 to 15 into workdir/profile
    config.checkpoint_every = 2000
    config.keep_checkpoints = 3  # the last k

    config.wandb = ConfigDict()  # Weights & Biases; pip install 'liax-jax[wandb]'
    config.wandb.project = ""  # empty = off
    config.wandb.name = ""  # of the run; empty = the workdir's
    config.wandb.mode = "online"  # or "offline"

    config.eval = ConfigDict()
    config.eval.batch_size = 16  # frames at a time
    config.eval.max_frames = 0  # per clip; 0 = all
    config.eval.use_ema = True  # evaluate the averaged parameters, where there are any
    config.eval.videos = True  # side-by-side mp4 of every clip
    return config
